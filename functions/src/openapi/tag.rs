//! The groups that the document shows endpoints in.

use utoipa::openapi::tag::TagBuilder;

macro_rules! tags {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal;)+) => {
        /// A group of endpoints.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Tag { $($(#[doc = $about])+ $variant,)+ }

        impl Tag {
            /// The group's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// All groups, in the order in which they are shown.
            pub(super) fn all() -> Vec<utoipa::openapi::Tag> {
                vec![$(
                    TagBuilder::new().name($name).description(Some(concat!($($about),+).trim())).build(),
                )+]
            }
        }
    };
}

tags! {
    /// Accounts, sessions, passwords and e-mail addresses.
    Authentication = "Authentication";
    /// The caller's own subscription, its use and its members.
    Subscription = "Subscription";
    /// WhatsApp numbers: what is wanted of their connections, and how these are.
    Instances = "Instances";
    /// The page on which whoever holds the phone pairs an instance, and what the page asks. Called with the token of a pairing
    /// link, which stands in the path.
    Pairing = "Pairing page";
    /// What programs use an instance with.
    Keys = "API keys";
    /// Where an instance's events go, and what became of them.
    Webhooks = "Webhooks";
    /// Sending messages, and what became of them. Called with an API key.
    Messages = "Messages";
    /// Files on their way out and in. Called with an API key.
    Media = "Media";
    /// Who is on WhatsApp, and whom the instance's account blocks. Asked of WhatsApp itself, by the instance's connection.
    Contacts = "Contacts";
    /// Groups that the instance's account is in or makes: what they are, who is in them, and changes of both. Asked of WhatsApp
    /// itself, by the instance's connection.
    Groups = "Groups";
    /// What is done with a chat short of sending: showing that one writes, reading, archiving. Done by the instance's connection.
    Chats = "Chats";
    /// The instance of the caller's API key.
    Instance = "Instance of the key";
    /// Who did what, for 90 days.
    Audit = "Audit log";
    /// Every user and every subscription, for administrators alone.
    Administration = "Administration";
    /// What the service tells of itself.
    Operations = "Operations";
}
