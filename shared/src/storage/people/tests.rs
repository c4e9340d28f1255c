use std::collections::BTreeMap;

use super::*;

/// A directory in memory: what [`People`] does with the table's items.
#[derive(Default)]
struct Book(BTreeMap<String, Stored>);

impl Book {
    fn learn(&mut self, met: &str, other: Option<&str>, day: i64) -> (Acquaintance, usize) {
        self.take(&lesson(met, None, other), day)
    }

    fn take(&mut self, lesson: &Lesson, day: i64) -> (Acquaintance, usize) {
        let named = [&lesson.other, &lesson.spelt].into_iter().flatten();
        let mut asked: Vec<Recipient> = named.chain([&lesson.met]).cloned().collect();
        let mut known = Vec::new();
        while let Some(name) = asked.pop() {
            if known.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let stored = self.0.get(&name.to_jid()).cloned();
            asked.extend(stored.iter().flat_map(|stored| stored.acquaintance.names()));
            known.push((name, stored));
        }
        let (acquaintance, writes) = merge(lesson, &known, day_of(day));
        let count = writes.len();
        self.0
            .extend(writes.into_iter().map(|(name, stored)| (name.to_jid(), stored)));
        (acquaintance, count)
    }

    fn chat(&self, name: &str) -> String {
        let name = name.parse::<Recipient>().expect("a name").to_jid();
        self.0[&name].acquaintance.chat.to_jid()
    }

    fn names(&self, name: &str) -> (Option<&str>, Option<&str>) {
        let name = name.parse::<Recipient>().expect("a name").to_jid();
        let person = &self.0[&name].acquaintance.person;
        (person.phone.as_deref(), person.lid.as_deref())
    }
}

fn lesson(met: &str, spelt: Option<&str>, other: Option<&str>) -> Lesson {
    let name = |text: &str| text.parse::<Recipient>().expect("a name");
    Lesson {
        met: name(met),
        spelt: spelt.map(name),
        other: other.map(name),
        on_whatsapp: None,
        looked_up: None,
    }
}

fn day_of(day: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(day)
}

const NUMBER: &str = "15550100002";
const OTHER_NUMBER: &str = "15550100003";
const LID: &str = "lid:100000000000002";
const OTHER_LID: &str = "lid:100000000000003";

#[test]
fn whoever_is_met_by_number_keeps_that_chat_when_the_lid_is_learnt() {
    let mut book = Book::default();
    assert_eq!(book.learn(NUMBER, None, 0).1, 1);
    assert_eq!(book.learn(NUMBER, Some(LID), 1).1, 2);
    for name in [NUMBER, LID] {
        assert_eq!(book.chat(name), "15550100002@s.whatsapp.net", "{name}");
        assert_eq!(book.names(name), (Some("15550100002"), Some("100000000000002")));
    }
    // Met by the other name, it is the same person, and nothing is written.
    let (met, writes) = book.learn(LID, Some(NUMBER), 2);
    assert_eq!(
        (met.chat.to_jid().as_str(), writes),
        ("15550100002@s.whatsapp.net", 0)
    );
    assert_eq!(book.learn(LID, None, 2).1, 0);
}

#[test]
fn of_two_chats_that_prove_to_be_one_person_the_first_stays() {
    for (first, second) in [(NUMBER, LID), (LID, NUMBER)] {
        let mut book = Book::default();
        book.learn(first, None, 0);
        book.learn(second, None, 1);
        let before = book.chat(first);
        book.learn(second, Some(first), 2);
        assert_eq!((book.chat(first), book.chat(second)), (before.clone(), before));
    }
}

#[test]
fn a_number_that_goes_to_somebody_else_takes_no_chat_along() {
    let mut book = Book::default();
    book.learn(NUMBER, Some(LID), 0);
    // The number is another's now, who is met by the LID first.
    book.learn(OTHER_LID, None, 1);
    book.learn(OTHER_LID, Some(NUMBER), 2);
    assert_eq!(book.chat(OTHER_LID), "100000000000003@lid");
    assert_eq!(book.chat(NUMBER), "100000000000003@lid");
    assert_eq!(book.names(LID), (None, Some("100000000000002")));
    assert_eq!(book.chat(LID), "100000000000002@lid");
    // Whoever had it has a new one.
    book.learn(LID, Some(OTHER_NUMBER), 3);
    assert_eq!(book.chat(OTHER_NUMBER), "100000000000002@lid");
    assert_eq!(book.names(NUMBER), (Some("15550100002"), Some("100000000000003")));
}

#[test]
fn somebody_with_a_new_number_is_not_found_by_the_old_one() {
    let mut book = Book::default();
    book.learn(LID, Some(NUMBER), 0);
    book.learn(LID, Some(OTHER_NUMBER), 1);
    assert_eq!(book.chat(OTHER_NUMBER), "100000000000002@lid");
    assert_eq!(book.names(LID), (Some("15550100003"), Some("100000000000002")));
    assert_eq!(book.names(NUMBER), (Some("15550100002"), None));
    assert_eq!(book.chat(NUMBER), "15550100002@s.whatsapp.net");
}

const LONG: &str = "5511987654321";
const SHORT: &str = "551187654321";

#[test]
fn a_number_that_is_written_otherwise_leads_to_the_same_person_and_chat() {
    let mut book = Book::default();
    let (met, writes) = book.take(&lesson(LONG, Some(SHORT), Some(LID)), 0);
    assert_eq!((writes, met.spellings.as_slice()), (3, &[LONG.to_owned()][..]));
    for name in [LONG, SHORT, LID] {
        assert_eq!(book.names(name), (Some(SHORT), Some("100000000000002")), "{name}");
        assert_eq!(book.chat(name), "5511987654321@s.whatsapp.net", "{name}");
    }
    // Whichever name is met next, nothing is new, and nobody is asked how the number is spelt.
    for known in [
        lesson(LONG, Some(SHORT), Some(LID)),
        lesson(LONG, None, None),
        lesson(SHORT, None, Some(LID)),
        lesson(LID, None, Some(SHORT)),
    ] {
        let (met, writes) = book.take(&known, 1);
        assert_eq!((writes, met.person.phone.as_deref()), (0, Some(SHORT)));
    }
}

#[test]
fn of_two_chats_by_two_spellings_the_first_stays() {
    for (first, second) in [(LONG, SHORT), (SHORT, LONG)] {
        let mut book = Book::default();
        book.learn(first, None, 0);
        book.learn(second, None, 1);
        book.take(&lesson(LONG, Some(SHORT), Some(LID)), 2);
        let chat = format!("{first}@s.whatsapp.net");
        for name in [LONG, SHORT, LID] {
            assert_eq!(book.chat(name), chat, "{name}");
        }
    }
}

#[test]
fn a_spelling_that_becomes_a_number_of_its_own_is_let_go() {
    let mut book = Book::default();
    book.take(&lesson(LONG, Some(SHORT), Some(LID)), 0);
    let until = day_of(9);
    let found = Lesson {
        looked_up: Some(LookedUp {
            business_name: None,
            until,
        }),
        ..lesson(LONG, None, Some(OTHER_LID))
    };
    book.take(&found, 1);
    assert_eq!(book.names(LONG), (Some(LONG), Some("100000000000003")));
    assert_eq!(book.names(SHORT), (Some(SHORT), Some("100000000000002")));
    // The chat goes by a name that is the person's.
    for name in [SHORT, LID] {
        assert_eq!(book.chat(name), "551187654321@s.whatsapp.net");
    }
}

#[test]
fn what_is_known_is_written_anew_only_before_it_is_forgotten() {
    let mut book = Book::default();
    book.learn(NUMBER, Some(LID), 0);
    assert_eq!(book.learn(NUMBER, Some(LID), 89).1, 0);
    assert_eq!(book.learn(NUMBER, Some(LID), 91).1, 2);
    // Nobody has heard of them for long enough: they are met anew.
    assert_eq!(book.learn(LID, None, 400).0.chat.to_jid(), "100000000000002@lid");
}
