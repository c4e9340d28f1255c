//! What the rules in force say about one moment of a connection.

use std::time::Duration;

use wacore_binary::Node;

use super::kind::Fault;
use super::rule::Direction;
use super::target::Subject;
use super::{Faults, Standing};
use crate::directory::Address;
use crate::server::refusals::Refusal;
use crate::wire;

/// The reason that a ban gives where none is asked for: sent to too many people.
const BAN_CODE: u16 = 101;

/// No connection's number: a rule for one connection is not about devices that others ask for.
const NOBODY: u64 = u64::MAX;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Without a word.
    Drop,
    /// As if the device had connected elsewhere.
    Replaced,
    /// With a stream error of this code.
    StreamError(u16),
}

/// What becomes of a stanza that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is handled, as often as this says.
    Handle(u8),
    /// Nobody hears of it.
    Lost,
    /// A message or a question is answered with this code.
    Refused(u16),
    /// The connection ends, and the stanza with it.
    End(Ending),
}

/// What the server does once a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Acknowledge,
    Withhold,
    Drop,
}

/// How a device stands in the list of its account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// As it is.
    Plainly,
    /// Not at all.
    Nowhere,
    /// As a hosted one.
    Hosted,
}

/// What becomes of a device's keys that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// They are given out.
    Given,
    /// Nothing is said of the device.
    LeftOut,
    /// An error is told instead.
    Refused(u16),
}

/// What befalls a stanza on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) delay: Duration,
    /// 0 for a stanza that is lost.
    pub(crate) copies: u8,
}

impl Outgoing {
    const PLAIN: Self = Self {
        delay: Duration::ZERO,
        copies: 1,
    };
}

impl Faults {
    /// Whether no rule is in force; what every hook asks first.
    fn idle(&self) -> bool {
        self.armed.load(std::sync::atomic::Ordering::Acquire) == 0
    }

    /// Whether a client that has said its first word is turned away.
    pub(crate) fn refuses_handshake(&self, subject: Subject<'_>) -> bool {
        !self.idle()
            && self.consult(|rules| {
                let mut of_handshake = rules
                    .iter_mut()
                    .filter(|standing| standing.rule.fault == Fault::RefuseHandshake);
                let struck = of_handshake.any(|standing| standing.strikes(subject));
                self.count(Fault::RefuseHandshake, u64::from(struck));
                struck
            })
    }

    /// How a login is refused, if it is.
    pub(crate) fn refuses_login(&self, subject: Subject<'_>) -> Option<Refusal> {
        if self.idle() {
            return None;
        }
        self.consult(|rules| {
            rules.iter_mut().find_map(|standing| {
                let refusal = match standing.rule.fault {
                    Fault::RefuseLogin => Refusal::plain(standing.rule.code?),
                    Fault::Ban => {
                        Refusal::banned(standing.rule.code.unwrap_or(BAN_CODE).into(), standing.ends_at?)
                    }
                    _ => return None,
                };
                self.struck_by(standing, subject).then_some(refusal)
            })
        })
    }

    /// How late a stanza that came in is handled, and what becomes of it.
    pub(crate) fn incoming(&self, subject: Subject<'_>, node: &Node) -> (Duration, Fate) {
        if self.idle() {
            return (Duration::ZERO, Fate::Handle(1));
        }
        let now = self.clock.now_ms();
        self.consult(|rules| {
            let (mut delay, mut copies) = (Duration::ZERO, 1_u8);
            for standing in rules {
                if !may_meet(standing, node) {
                    continue;
                }
                if standing.rule.fault == Fault::RateLimit && !over_limit(standing, subject, now) {
                    continue;
                }
                if !self.struck_by(standing, subject) {
                    continue;
                }
                let rule = &standing.rule;
                let end = match rule.fault {
                    Fault::Delay => {
                        delay += Duration::from_millis(rule.delay_ms.unwrap_or_default());
                        continue;
                    }
                    Fault::Duplicate => {
                        copies = copies.saturating_mul(2);
                        continue;
                    }
                    Fault::DropSocket | Fault::DropBeforeAck => Fate::End(Ending::Drop),
                    Fault::Replace => Fate::End(Ending::Replaced),
                    Fault::StreamError => Fate::End(Ending::StreamError(rule.code.unwrap_or_default())),
                    Fault::Refuse | Fault::RefuseIq => Fate::Refused(rule.code.unwrap_or_default()),
                    Fault::RateLimit => Fate::Refused(429),
                    _ => Fate::Lost,
                };
                return (delay, end);
            }
            (delay, Fate::Handle(copies))
        })
    }

    /// What follows once a message is stored and relayed.
    pub(crate) fn stored(&self, subject: Subject<'_>) -> Stored {
        if self.idle() {
            return Stored::Acknowledge;
        }
        self.consult(|rules| {
            let found = rules.iter_mut().find_map(|standing| {
                let after = match standing.rule.fault {
                    Fault::HoldAcks => Stored::Withhold,
                    Fault::DropAfterStore => Stored::Drop,
                    _ => return None,
                };
                self.struck_by(standing, subject).then_some(after)
            });
            found.unwrap_or(Stored::Acknowledge)
        })
    }

    /// What becomes of the keys of this device, whoever asks for them.
    pub(crate) fn keys(&self, of: &Address) -> Keys {
        if self.idle() {
            return Keys::Given;
        }
        let subject = Subject {
            client: NOBODY,
            address: Some(of),
        };
        self.consult(|rules| {
            let found = rules.iter_mut().find_map(|standing| {
                let is_withheld =
                    standing.rule.fault == Fault::WithholdKeys && self.struck_by(standing, subject);
                is_withheld.then(|| standing.rule.code.map_or(Keys::LeftOut, Keys::Refused))
            });
            found.unwrap_or(Keys::Given)
        })
    }

    /// How this device stands in the list of its account's, whoever asks for it.
    pub(crate) fn listed(&self, device: &Address) -> Listed {
        if self.idle() {
            return Listed::Plainly;
        }
        let subject = Subject {
            client: NOBODY,
            address: Some(device),
        };
        self.consult(|rules| {
            let found = rules.iter_mut().find_map(|standing| {
                let listed = match standing.rule.fault {
                    Fault::HideDevices => Listed::Nowhere,
                    Fault::HostDevices => Listed::Hosted,
                    _ => return None,
                };
                self.struck_by(standing, subject).then_some(listed)
            });
            found.unwrap_or(Listed::Plainly)
        })
    }

    /// What befalls an encoded stanza on its way out.
    pub(crate) fn outgoing(&self, subject: Subject<'_>, payload: &[u8]) -> Outgoing {
        if self.idle() {
            return Outgoing::PLAIN;
        }
        let tag = wire::tag(payload);
        self.consult(|rules| {
            let mut fate = Outgoing::PLAIN;
            for standing in rules {
                let rule = &standing.rule;
                let concerned = match rule.fault {
                    Fault::Delay | Fault::Lose | Fault::Duplicate => {
                        rule.goes(Direction::Out) && rule.concerns(tag)
                    }
                    Fault::LoseAcks => tag == "ack",
                    Fault::Mute => true,
                    _ => false,
                };
                if !concerned || !self.struck_by(standing, subject) {
                    continue;
                }
                match standing.rule.fault {
                    Fault::Delay => {
                        fate.delay += Duration::from_millis(standing.rule.delay_ms.unwrap_or_default());
                    }
                    Fault::Duplicate => fate.copies = fate.copies.saturating_mul(2),
                    _ => {
                        fate.copies = 0;
                        break;
                    }
                }
            }
            fate
        })
    }

    fn struck_by(&self, standing: &mut Standing, subject: Subject<'_>) -> bool {
        let struck = standing.strikes(subject);
        if struck {
            self.count(standing.rule.fault, 1);
        }
        struck
    }
}

/// Whether a rule could strike at a stanza that came in, whoever sent it.
fn may_meet(standing: &Standing, node: &Node) -> bool {
    let rule = &standing.rule;
    let tag = node.tag.as_ref();
    match rule.fault {
        Fault::Delay | Fault::Lose | Fault::Duplicate => rule.goes(Direction::In) && rule.concerns(tag),
        Fault::DropSocket | Fault::Replace | Fault::StreamError => rule.concerns(tag),
        Fault::DropBeforeAck | Fault::Refuse | Fault::RateLimit => tag == "message",
        Fault::RefuseIq => is_question(node),
        Fault::NoPong => is_question(node) && wire::attr(node, "xmlns").as_deref() == Some("w:p"),
        Fault::Mute => true,
        _ => false,
    }
}

/// An iq that wants an answer.
fn is_question(node: &Node) -> bool {
    node.tag == "iq" && matches!(wire::attr(node, "type").as_deref(), Some("get" | "set"))
}

/// Counts a message of `subject`'s in the present second; answers whether that is one too many.
fn over_limit(standing: &mut Standing, subject: Subject<'_>, now_ms: i64) -> bool {
    let Some(address) = subject.address.filter(|_| standing.rule.target.covers(subject)) else {
        return false;
    };
    let second = now_ms.div_euclid(1000);
    let window = standing.windows.entry(address.clone()).or_insert((second, 0));
    if window.0 != second {
        *window = (second, 0);
    }
    window.1 = window.1.saturating_add(1);
    window.1 > standing.rule.per_second.unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use wacore_binary::builder::NodeBuilder;

    use super::super::{Rule, Target};
    use super::*;
    use crate::clock::Clock;
    use crate::directory::Address;

    struct HandClock(AtomicI64);

    impl Clock for HandClock {
        fn now_ms(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn engine() -> (Faults, Arc<HandClock>) {
        let clock = Arc::new(HandClock(AtomicI64::new(1_000_000)));
        (Faults::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn put(faults: &Faults, rule: Rule) {
        rule.check().unwrap();
        assert!(faults.put(faults.prepare(rule)));
    }

    fn subject(address: &Address) -> Subject<'_> {
        Subject {
            client: 1,
            address: Some(address),
        }
    }

    fn message() -> Node {
        NodeBuilder::new("message").attr("id", "A").build()
    }

    #[test]
    fn a_counted_fault_ends_by_itself() {
        let (faults, _) = engine();
        let (one, other) = (Address::new("155501000001", 1), Address::new("155501000002", 1));
        put(
            &faults,
            Rule {
                count: Some(2),
                ..Rule::new(Target::phone(&one.phone), Fault::HoldAcks)
            },
        );
        assert_eq!(faults.stored(subject(&other)), Stored::Acknowledge);
        assert_eq!(faults.stored(subject(&one)), Stored::Withhold);
        assert_eq!(faults.list()[0].struck, 1);
        assert_eq!(faults.stored(subject(&one)), Stored::Withhold);
        assert_eq!(faults.stored(subject(&one)), Stored::Acknowledge);
        assert!(faults.list().is_empty() && faults.idle());
        assert_eq!(faults.struck(Fault::HoldAcks), 2);
    }

    #[test]
    fn a_fault_with_an_end_is_over_then() {
        let (faults, clock) = engine();
        let address = Address::new("155501000001", 1);
        put(
            &faults,
            Rule {
                seconds: Some(10),
                ..Rule::new(Target::all(), Fault::Ban)
            },
        );
        clock.0.fetch_add(2_500, Ordering::Relaxed);
        let refusal = Refusal::banned(101, 1_010_000);
        assert_eq!(faults.refuses_login(subject(&address)), Some(refusal));
        clock.0.fetch_add(7_500, Ordering::Relaxed);
        assert_eq!(faults.refuses_login(subject(&address)), None);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let draw = |seed| {
            let (faults, _) = engine();
            put(
                &faults,
                Rule {
                    chance: Some(0.3),
                    seed: Some(seed),
                    ..Rule::new(Target::all(), Fault::Lose)
                },
            );
            let address = Address::new("155501000001", 1);
            let lost = (0..200).map(|_| faults.incoming(subject(&address), &message()).1 == Fate::Lost);
            lost.collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let lost = draw(5).into_iter().filter(|lost| *lost).count();
        assert!((30..90).contains(&lost), "{lost} of 200");
    }

    #[test]
    fn rules_apply_in_order_until_one_ends_the_way() {
        let (faults, _) = engine();
        let address = Address::new("155501000001", 1);
        let delay = |ms| Rule {
            delay_ms: Some(ms),
            ..Rule::new(Target::all(), Fault::Delay)
        };
        put(&faults, delay(5));
        put(&faults, Rule::new(Target::all(), Fault::Duplicate));
        assert_eq!(
            faults.incoming(subject(&address), &message()),
            (Duration::from_millis(5), Fate::Handle(2))
        );
        put(
            &faults,
            Rule {
                code: Some(463),
                ..Rule::new(Target::all(), Fault::Refuse)
            },
        );
        put(&faults, delay(7));
        assert_eq!(
            faults.incoming(subject(&address), &message()),
            (Duration::from_millis(5), Fate::Refused(463))
        );
        // A receipt is no message: it is refused by nobody and meets both delays.
        let receipt = NodeBuilder::new("receipt").build();
        assert_eq!(
            faults.incoming(subject(&address), &receipt),
            (Duration::from_millis(12), Fate::Handle(2))
        );
    }

    #[test]
    fn a_rate_is_counted_by_device_and_second() {
        let (faults, clock) = engine();
        let (one, other) = (Address::new("155501000001", 1), Address::new("155501000001", 2));
        put(
            &faults,
            Rule {
                per_second: Some(2),
                ..Rule::new(Target::all(), Fault::RateLimit)
            },
        );
        let fate = |address| faults.incoming(subject(address), &message()).1;
        assert_eq!(
            [fate(&one), fate(&one), fate(&one)],
            [Fate::Handle(1), Fate::Handle(1), Fate::Refused(429)]
        );
        assert_eq!(fate(&other), Fate::Handle(1));
        clock.0.fetch_add(1000, Ordering::Relaxed);
        assert_eq!(fate(&one), Fate::Handle(1));
        assert_eq!(faults.struck(Fault::RateLimit), 1);
    }

    #[test]
    fn stanzas_on_their_way_out_are_told_apart_by_tag() {
        let (faults, _) = engine();
        let address = Address::new("155501000001", 1);
        let encoded =
            |tag: &'static str| wire::encode(&NodeBuilder::new(tag).attr("id", "1").build()).unwrap();
        put(
            &faults,
            Rule {
                stanza: Some("receipt".into()),
                direction: Some(Direction::Out),
                ..Rule::new(Target::all(), Fault::Duplicate)
            },
        );
        put(&faults, Rule::new(Target::all(), Fault::LoseAcks));
        let copies = |tag| faults.outgoing(subject(&address), &encoded(tag)).copies;
        assert_eq!([copies("message"), copies("receipt"), copies("ack")], [1, 2, 0]);
        // What goes in is no business of theirs.
        let receipt = NodeBuilder::new("receipt").build();
        assert_eq!(
            faults.incoming(subject(&address), &receipt),
            (Duration::ZERO, Fate::Handle(1))
        );
    }

    #[test]
    fn pings_alone_go_unanswered() {
        let (faults, _) = engine();
        let address = Address::new("155501000001", 1);
        put(&faults, Rule::new(Target::all(), Fault::NoPong));
        let iq = |kind, xmlns| {
            let node = NodeBuilder::new("iq")
                .attr("type", kind)
                .attr("xmlns", xmlns)
                .build();
            faults.incoming(subject(&address), &node).1
        };
        assert_eq!(iq("get", "w:p"), Fate::Lost);
        assert_eq!(iq("get", "usync"), Fate::Handle(1));
        assert_eq!(iq("result", "w:p"), Fate::Handle(1));
    }
}
