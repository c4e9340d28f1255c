//! What a group is called and what it is about, on their way to WhatsApp.
//!
//! The library writes a short text with an `@` as a JID, and WhatsApp ends the connection over one that is none. So these
//! texts go as bytes, which no library looks into. WhatsApp's own apps make no difference between the two.

use anyhow::Result;
use wacore::iq::groups::GROUP_IQ_NAMESPACE;
use wacore::iq::spec::IqSpec;
use wacore::request::InfoQuery;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, NodeRef};

/// Gives a group another subject.
pub struct SetSubject {
    pub group: Jid,
    pub subject: String,
}

/// Gives a group another description, or none. WhatsApp refuses it (409) where the group's description is not the `former`.
pub struct SetDescription {
    pub group: Jid,
    pub text: Option<String>,
    /// The id of the description that it replaces.
    pub former: Option<String>,
}

impl IqSpec for SetSubject {
    type Response = ();

    fn build_iq(&self) -> InfoQuery<'static> {
        let subject = NodeBuilder::new("subject").bytes(self.subject.as_str()).build();
        about(&self.group, subject)
    }

    fn parse_response(&self, _: &NodeRef<'_>) -> Result<()> {
        Ok(())
    }
}

impl IqSpec for SetDescription {
    type Response = ();

    fn build_iq(&self) -> InfoQuery<'static> {
        // As the apps make them: eight hex digits.
        let id = format!("{:08X}", rand::random::<u32>());
        let mut description = NodeBuilder::new("description").attr("id", id);
        if let Some(former) = &self.former {
            description = description.attr("prev", former.as_str());
        }
        let description = match &self.text {
            Some(text) => description.children([NodeBuilder::new("body").bytes(text.as_str()).build()]),
            None => description.attr("delete", "true"),
        };
        about(&self.group, description.build())
    }

    fn parse_response(&self, _: &NodeRef<'_>) -> Result<()> {
        Ok(())
    }
}

fn about(group: &Jid, change: Node) -> InfoQuery<'static> {
    InfoQuery::set_ref(GROUP_IQ_NAMESPACE, group, Some(NodeContent::Nodes(vec![change])))
}

/// The name under which a group is made that is to be called `subject`. A new group's subject is an attribute, which cannot go
/// as bytes: a sign that looks like the `@` stands in its place, until [`SetSubject`] has put it right.
pub fn first_name(subject: &str) -> String {
    subject.replace('@', "\u{FF20}")
}
