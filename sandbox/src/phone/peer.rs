//! What companions ask of their phone, in messages between devices of one account.

use std::io::Write as _;

use buffa::Message as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use tracing::warn;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::PeerDataOperationRequestType;
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::SyncDSnapshotFatalRecoveryResponse;
use waproto::whatsapp::message::protocol_message::Type;

use super::{app_state, history, key_share, resend, send};
use crate::app_state as collections;
use crate::directory::{Account, Address};
use crate::error::{Error, Result};
use crate::store::Unit;

/// Does what the companion `device` asks for in its message `id`. `false` if it asks for nothing.
pub(crate) fn take(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id): (u16, &str),
    message: &wa::Message,
) -> Result<bool> {
    let Some(protocol) = message.protocol_message.as_option() else {
        return Ok(false);
    };
    if let Some(request) = protocol.app_state_sync_key_request.as_option() {
        key_share::answer(unit, account, device, request)?;
    } else if let Some(fatal) = protocol.app_state_fatal_exception_notification.as_option() {
        broken(unit, account, fatal)?;
    } else if let Some(request) = protocol.peer_data_operation_request_message.as_option() {
        operation(unit, account, (device, id), request)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A companion cannot go on with some collections: the phone replaces them with its own copies.
fn broken(
    unit: &mut Unit<'_>,
    account: &Account,
    fatal: &wa::message::AppStateFatalExceptionNotification,
) -> Result<()> {
    warn!("a companion cannot go on with the app state; its phone replaces it");
    for collection in collections::COLLECTIONS {
        if fatal.collection_names.iter().any(|name| name == collection) {
            app_state::pull(unit, account, collection)?;
            app_state::repair(unit, account, collection)?;
        }
    }
    Ok(())
}

fn operation(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id): (u16, &str),
    request: &wa::message::PeerDataOperationRequestMessage,
) -> Result<()> {
    if request.peer_data_operation_request_type
        == Some(PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND)
    {
        return resend::answer(unit, account, (device, id), request);
    }
    if let Some(asked) = request.history_sync_on_demand_request.as_option() {
        return history::answer(unit, account, (device, id), asked);
    }
    let recovery = request.syncd_collection_fatal_recovery_request.as_option();
    let Some(name) = recovery.and_then(|asked| asked.collection_name.as_deref()) else {
        return Ok(());
    };
    let Some(collection) = collections::collection(name) else {
        return Ok(());
    };
    app_state::pull(unit, account, collection)?;
    let snapshot = app_state::recovery_snapshot(unit, &account.phone, collection)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let snapshot = gzip
        .write_all(&snapshot.encode_to_vec())
        .and_then(|()| gzip.finish())
        .map_err(|error| Error::codec("a snapshot", error))?;
    let result = PeerDataOperationResult {
        syncd_snapshot_fatal_recovery_response: SyncDSnapshotFatalRecoveryResponse {
            collection_snapshot: Some(snapshot),
            is_compressed: Some(true),
        }
        .into(),
        ..Default::default()
    };
    let response = wa::message::PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: request.peer_data_operation_request_type,
        stanza_id: Some(id.to_owned()),
        peer_data_operation_result: vec![result],
    };
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: response.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    send::peer_message(unit, account, &Address::new(&account.phone, device), &message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::app_state::actions::{self, Action};
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn pinned(chat: &str) -> Action {
        Action::Pin {
            chat: chat.into(),
            pinned: true,
        }
    }

    #[test]
    fn a_companion_that_cannot_go_on_gets_a_snapshot_of_a_new_version() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            actions::act(unit, &account, pinned("155501000009"))?;
            let fatal = wa::message::AppStateFatalExceptionNotification {
                collection_names: vec!["regular_low".into(), "imaginary".into()],
                ..Default::default()
            };
            let message = wa::Message {
                protocol_message: wa::message::ProtocolMessage {
                    app_state_fatal_exception_notification: fatal.into(),
                    ..Default::default()
                }
                .into(),
                ..Default::default()
            };
            assert!(take(unit, &account, (1, "A"), &message)?);
            let head = collections::head(unit, &account.phone, "regular_low")?;
            assert_eq!((head.version, head.floor), (2, 2));
            let snapshot = collections::snapshot(unit, &account.phone, "regular_low")?.expect("one");
            assert_eq!(snapshot.records.len(), 1);
            assert_eq!(collections::head(unit, &account.phone, "regular")?.version, 0);
            // The phone itself goes on from there.
            actions::act(unit, &account, pinned("155501000008"))?;
            assert_eq!(app_state::faults(unit)?, 0);
            assert_eq!(app_state::list(unit, &account.phone)?.len(), 2);
            Ok(())
        });
    }

    #[test]
    fn what_the_phone_holds_can_be_had_in_the_clear() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            actions::act(unit, &account, pinned("155501000009"))?;
            let recovery = app_state::recovery_snapshot(unit, &account.phone, "regular_low")?;
            assert_eq!(recovery.version.version, Some(1));
            let record = &recovery.mutation_records[0];
            assert_eq!(
                record.value.index.as_deref(),
                Some(br#"["pin_v1","155501000009@s.whatsapp.net"]"#.as_slice())
            );
            assert_eq!(record.value.value.pin_action.pinned, Some(true));
            assert_eq!(record.mac.as_ref().map(Vec::len), Some(32));
            Ok(())
        });
    }
}
