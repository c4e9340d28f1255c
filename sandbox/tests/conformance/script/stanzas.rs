//! Stanzas of a script's own reach the phone's companions as they are.

use std::collections::BTreeMap;

use sandbox::Error;
use sandbox::script::StanzaRequest;
use wacore::types::events::Event;

use super::Scene;

fn stanza(tag: &str, attrs: &[(&str, &str)]) -> StanzaRequest {
    let attrs = attrs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    StanzaRequest {
        tag: tag.to_owned(),
        attrs: attrs.collect(),
        ..StanzaRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_one_arrives_as_it_was_given() {
    let scene = Scene::new().await;
    let words = StanzaRequest {
        text: Some("at eight".to_owned()),
        ..stanza("words", &[])
    };
    let odd = StanzaRequest {
        children: vec![words],
        ..stanza(
            "notification",
            &[
                ("from", "s.whatsapp.net"),
                ("id", "n1"),
                ("type", "levitation"),
                ("to", "1@lid"),
            ],
        )
    };
    scene.own.send_stanza(odd).await.expect("sent");
    let wait = scene.client.wait("the stanza", |event| match event {
        Event::Notification(node)
            if node
                .get_attr("type")
                .is_some_and(|kind| kind.as_str() == "levitation") =>
        {
            let to = node
                .get_attr("to")
                .and_then(wacore_binary::node::ValueRef::to_jid);
            let words = node
                .get_optional_child("words")
                .and_then(|words| words.content_bytes());
            Some((to.map(|to| to.to_string()), words.map(<[u8]>::to_vec)))
        }
        _ => None,
    });
    assert_eq!(wait.await, (Some("1@lid".to_owned()), Some(b"at eight".to_vec())));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_stanza_is_refused() {
    let scene = Scene::new().await;
    let mut deep = stanza("a", &[]);
    for _ in 0..8 {
        deep = StanzaRequest {
            children: vec![deep],
            ..stanza("a", &[])
        };
    }
    let wide = StanzaRequest {
        children: vec![stanza("a", &[]); 10_000],
        ..stanza("a", &[])
    };
    let both = StanzaRequest {
        text: Some(String::new()),
        children: vec![stanza("a", &[])],
        ..stanza("a", &[])
    };
    let odd_name = StanzaRequest {
        attrs: BTreeMap::from([(String::new(), String::new())]),
        ..stanza("a", &[])
    };
    for (stanza, rule) in [
        (deep, "8 deep"),
        (wide, "10000 nodes"),
        (both, "not both"),
        (stanza("", &[]), "`tag`"),
        (odd_name, "`attrs`"),
    ] {
        let refused = scene.own.send_stanza(stanza).await;
        assert!(
            matches!(&refused, Err(Error::Invalid(why)) if why.contains(rule)),
            "{rule}: {refused:?}"
        );
    }
    scene.end().await;
}
