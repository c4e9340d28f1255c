//! The phone's address book.

use shared::domain::address_book::SavedContact;
use shared::domain::instance::{Instance, Status};
use shared::domain::person::Person;
use shared::sealed;
use shared::storage::address_books::AddressBooks;
use shared::storage::keys;
use testbed::wait::until;

use crate::network::unlinked;
use crate::world::World;

fn contact(n: u32, called: &str) -> SavedContact {
    SavedContact {
        person: Person {
            phone: Some(format!("1555010{n:04}")),
            lid: None,
        },
        name: Some(called.to_owned()),
        first_name: None,
    }
}

/// The book's names as functions read them, in the order of the numbers.
async fn names(world: &World, instance: &Instance) -> Vec<String> {
    let books = AddressBooks::new(world.table.clone());
    let (mut from, mut contacts) = (Some(0), Vec::new());
    while let Some(part) = from {
        let (parts, next) = books.list(instance.id, part).await.expect("read");
        for (part, text) in parts {
            let of = keys::book_part(instance.id, part).path();
            let opened = sealed::open::<Vec<SavedContact>>(&world.sealer, instance.id, &of, &text).await;
            contacts.extend(opened.expect("it opens"));
        }
        from = next;
    }
    contacts.sort_by(|one, other| one.person.phone.cmp(&other.person.phone));
    contacts.into_iter().filter_map(|contact| contact.name).collect()
}

#[tokio::test]
async fn a_book_is_begun_changed_replaced_and_forgotten_with_its_phone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let save = async |contacts: &[SavedContact], is_whole| {
        session.book.save(contacts, is_whole).await.expect("stored");
    };
    save(&[contact(1, "Ada"), contact(2, "Bob"), contact(3, "Cy")], true).await;
    assert_eq!(names(&world, &instance).await, ["Ada", "Bob", "Cy"]);
    save(&[contact(2, "Robert"), contact(4, "Di")], false).await;
    assert_eq!(names(&world, &instance).await, ["Ada", "Robert", "Cy", "Di"]);
    save(&[contact(3, "Cyrus"), contact(4, "Di")], true).await;
    assert_eq!(names(&world, &instance).await, ["Cyrus", "Di"]);
    let mut people = session.book.people().await.expect("read");
    people.sort_by(|one, other| one.phone.cmp(&other.phone));
    assert_eq!(people, [contact(3, "").person, contact(4, "").person]);
    session.tell(unlinked("device_removed")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    until("the end of the book", async || {
        names(&world, &instance).await.is_empty().then_some(())
    })
    .await;
    daemon.stop().await;
}
