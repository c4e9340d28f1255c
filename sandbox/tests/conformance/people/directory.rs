//! Looking people up.

use wacore::iq::mex::{MexDoc, MexQuerySpec};
use wacore_binary::Jid;
use whatsapp_rust::usync::{
    UsyncContext, UsyncDeviceSyncHint, UsyncMode, UsyncOutcome, UsyncProtocol, UsyncProtocolKind,
    UsyncProtocolResult, UsyncQuery, UsyncUser,
};

use super::{good, lid, maps};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_by_number_and_by_lid() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let other_lid = lid(admin, &other).await;
    let contacts = client.client();
    let contacts = contacts.contacts();

    let asked = [other_lid.clone(), Jid::pn(other.as_str()), Jid::lid("1")];
    let found = good("the look-up", contacts.is_on_whatsapp(&asked)).await;
    let by_lid = found
        .iter()
        .find(|one| one.jid == other_lid)
        .expect("the LID is known");
    assert!(by_lid.is_registered);
    assert_eq!(by_lid.pn_jid, Some(Jid::pn(other.as_str())));
    let by_number = found
        .iter()
        .find(|one| one.jid == Jid::pn(other.as_str()))
        .expect("the number is known");
    assert!(by_number.is_registered && !by_number.is_business);
    assert_eq!(by_number.lid.as_ref(), Some(&other_lid));
    // The client has learnt which number belongs to which LID.
    maps(&client, &other, &other_lid).await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_somebody_is_answered_in_either_name() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let business = r#"{"name": "Ada", "business": {"name": "Ada's Engines", "email": "ada@example.com",
        "description": "Difference engines", "websites": ["https://ada.example"], "categories": ["Machinery"],
        "timezone": "Europe/London", "hours": [{"day": "mon", "open": 540, "close": 1020}, {"day": "tue"}]}}"#;
    let made = admin.ok("POST", "/admin/phones", business).await;
    let other = made["phone"].as_str().expect("a number").to_owned();
    let both = [Jid::pn(other.as_str()), lid(admin, &other).await];
    let wa = client.client();
    let info = good("the details", wa.contacts().get_user_info(&both)).await;
    for jid in &both {
        let one = &info[jid];
        assert_eq!(one.status.as_deref(), Some("Hey there! I am in the sandbox."));
        assert_eq!(one.devices, [0]);
        assert_eq!(one.lid.as_ref(), Some(&both[1]));
        assert!(one.is_business);
        let name = one.verified_name.as_ref().and_then(|name| name.name.as_deref());
        assert_eq!(name, Some("Ada's Engines"));
    }
    let profile = good("the profile", wa.get_business_profile(&both[0]))
        .await
        .expect("there is one");
    assert_eq!(profile.email.as_deref(), Some("ada@example.com"));
    assert_eq!(profile.website, ["https://ada.example"]);
    assert_eq!(profile.categories[0].name, "Machinery");
    assert_eq!(
        profile.business_hours.business_config.as_ref().map(Vec::len),
        Some(2)
    );
    let none = good("no profile", wa.get_business_profile(&Jid::pn(own.as_str()))).await;
    assert!(none.is_none());
    let (status, refusal) = admin
        .call("POST", "/admin/phones", r#"{"business": {"name": ""}}"#)
        .await;
    assert_eq!(status, 400);
    assert!(
        refusal["error"]["message"]
            .as_str()
            .unwrap()
            .contains("business.name")
    );
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_the_devices_is_spared_them() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let wa = client.client();
    let ask = |hint: Option<UsyncDeviceSyncHint>, lone: bool| {
        let mut user = UsyncUser::from_jid(Jid::pn(own.as_str()));
        if let Some(hint) = hint {
            user = user.with_device_sync(hint);
        }
        let mut protocols = vec![UsyncProtocol::DevicesV2];
        if !lone {
            protocols.push(UsyncProtocol::Status);
        }
        let query = UsyncQuery::new(UsyncMode::Query, UsyncContext::Message, protocols, vec![user]);
        wa.query_usync(query.expect("a question"))
    };
    let full = good("the devices", ask(None, true)).await;
    let Some(UsyncProtocolResult::Devices(UsyncOutcome::Value(devices))) =
        full.users[0].protocol(UsyncProtocolKind::Devices)
    else {
        panic!("no devices in {full:?}");
    };
    let list = devices.device_list.as_ref().expect("a list");
    let numbers: Vec<_> = list
        .devices
        .iter()
        .map(|device| (device.id, device.key_index))
        .collect();
    assert_eq!(numbers, [(0, None), (1, Some(1))]);
    let index = devices.key_index.as_ref().expect("the indexes");
    let hint = UsyncDeviceSyncHint::new()
        .with_device_hash(list.hash.clone().expect("a hash"))
        .with_timestamp(index.timestamp);
    let spared = good("the same", ask(Some(hint.clone()), true)).await;
    assert!(spared.users.is_empty());
    let status = good("the same and more", ask(Some(hint.clone()), false)).await;
    assert!(status.users[0].protocol(UsyncProtocolKind::Devices).is_none());
    assert!(status.users[0].protocol(UsyncProtocolKind::Status).is_some());
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&own)).await;
    let changed = good("the change", ask(Some(hint), true)).await;
    assert!(changed.users[0].protocol(UsyncProtocolKind::Devices).is_some());
    client.stop().await;
    second.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_answers_in_graphql() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let wa = client.client();
    let lock = good("the time lock", wa.mex().fetch_reachout_timelock()).await;
    assert_eq!(lock.is_active, Some(false));
    let document = MexDoc {
        name: "nothing",
        id: "1",
    };
    let unknown = MexQuerySpec::new(document, &serde_json::json!({})).expect("a question");
    let refused = wa.execute(unknown).await.expect_err("there is no such document");
    assert!(format!("{refused:?}").contains("404"), "{refused:?}");
    client.stop().await;
    sandbox.shutdown().await;
}
