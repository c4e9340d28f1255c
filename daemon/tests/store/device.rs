//! The device.

use wacore::store::Device;
use wacore::store::traits::DeviceStore as _;

use crate::support::Subject;

#[tokio::test]
async fn a_device_is_made_once_and_saved() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert!(!open().exists().await.unwrap());
        assert!(open().load().await.unwrap().is_none());
        assert_eq!(open().create().await.unwrap(), 1);
        assert!(open().exists().await.unwrap());
        let made = open().load().await.unwrap().expect("made");

        let mut device = Device::new();
        device.push_name = "Waxwing".to_owned();
        device.pn = Some("15550000001:3@s.whatsapp.net".parse().unwrap());
        device.next_pre_key_id = 813;
        device.edge_routing_info = Some(vec![0, 255]);
        open().save(&device).await.unwrap();
        open().create().await.unwrap();
        let read = open().load().await.unwrap().expect("saved");
        assert_ne!(read.identity_key.public_key, made.identity_key.public_key);
        assert_eq!(read.identity_key.public_key, device.identity_key.public_key);
        assert_eq!(read.noise_key.public_key, device.noise_key.public_key);
        assert_eq!(read.signed_pre_key_signature, device.signed_pre_key_signature);
        assert_eq!(read.adv_secret_key, device.adv_secret_key);
        assert_eq!(read.pn, device.pn);
        assert_eq!(read.next_pre_key_id, 813);
        assert_eq!(read.edge_routing_info, device.edge_routing_info);
        assert_eq!(read.push_name, "Waxwing");
        open().snapshot_db("name", Some(b"content")).await.unwrap();
    }
}

#[tokio::test]
async fn its_data_is_not_process_memory() {
    let store = crate::support::World::new().await.store(1);
    assert_eq!(store.resource_report().await.memory_bytes, Some(0));
}
