//! `w:mex`: questions in GraphQL, by the number of a document that both sides know.
//!
//! The network answers those that clients ask at start-up and about people. All others get the answer to an unknown
//! document: one with an error in it, in the form that clients expect.

use serde_json::{Value as Json, json};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::people::privacy::{self, Category};
use crate::people::{profile, reachout};
use crate::store::Unit;
use crate::wire;

/// Whether the account may write to people it does not know.
const REACHOUT_TIMELOCK: &str = "23983697327930364";
/// How many new chats the account may begin.
const MESSAGE_CAPPING: &str = "24503548349331633";
/// The own user name.
const GET_USERNAME: &str = "25347099718279209";
/// Others' about texts.
const ABOUT_STATUS: &str = "24535500086059408";
/// People by JID.
const USYNC: &str = "29829202653362039";
/// Whom privacy settings except.
const PRIVACY_LISTS: &str = "26806428515612550";
/// The own privacy settings.
const PRIVACY_SETTINGS: &str = "25637004609323493";

/// The most people of one question.
const MAX_USERS: usize = 1_000;

pub(super) fn answer(unit: &Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let query = node
        .get_optional_child("query")
        .ok_or_else(|| Error::Invalid("no <query>".into()))?;
    let variables = wire::bytes(query)
        .and_then(|body| serde_json::from_slice::<Json>(&body).ok())
        .map(|body| body["variables"].clone())
        .ok_or_else(|| Error::Invalid("a query that is no JSON".into()))?;
    let document = wire::attr(query, "query_id").unwrap_or_default();
    let body = match data(unit, from, &document, &variables)? {
        Some(data) => json!({ "data": data }),
        None => json!({
            "data": null,
            "errors": [{
                "message": "this network has no such document",
                "extensions": {
                    "error_code": 404,
                    "is_summary": true,
                    "is_retryable": false,
                    "severity": "CRITICAL"
                }
            }]
        }),
    };
    let result = NodeBuilder::new("result").bytes(body.to_string()).build();
    Ok(wire::iq_result(node, vec![result]))
}

fn data(unit: &Unit<'_>, from: &Address, document: &str, variables: &Json) -> Result<Option<Json>> {
    Ok(Some(match document {
        REACHOUT_TIMELOCK => {
            let until = reachout::locked_until(unit, &from.phone)?;
            json!({"xwa2_fetch_account_reachout_timelock": {
                "is_active": until.is_some(),
                "enforcement_type": "DEFAULT",
                "time_enforcement_ends": until.unwrap_or_default().to_string()
            }})
        }
        MESSAGE_CAPPING => json!({"xwa2_message_capping_info": {
            "capping_status": "NONE",
            "cycle_start_timestamp": 0,
            "cycle_end_timestamp": 0,
            "mv_status": "NOT_ELIGIBLE",
            "ote_status": "NOT_ELIGIBLE",
            "server_sent_timestamp": unit.now_secs(),
            "total_quota": "-1",
            "used_quota": "0"
        }}),
        GET_USERNAME => json!({"xwa2_username_get": {"username_info": null}}),
        ABOUT_STATUS => {
            let people = named(unit, std::slice::from_ref(&variables["user"]), "user_id")?;
            let abouts = people.iter().map(|(_, account)| {
                let text = about(unit, from, account.as_ref())?;
                Ok(json!({"updates": [{"__typename": "XWA2AboutStatus", "text": text}]}))
            });
            json!({"xwa2_users_updates_since": abouts.collect::<Result<Vec<_>>>()?})
        }
        USYNC => {
            let people = named(unit, query_input(variables), "jid")?;
            let users = people.iter().map(|(jid, account)| {
                let id = account
                    .as_ref()
                    .map(|account| account.jid(Family::Lid, 0).to_string());
                Ok(json!({
                    "__typename": "XWA2User",
                    "id": id,
                    "jid": jid.to_string(),
                    "about_status_info": {"text": about(unit, from, account.as_ref())?},
                    "username_info": null
                }))
            });
            json!({"xwa2_fetch_wa_users": users.collect::<Result<Vec<_>>>()?})
        }
        PRIVACY_SETTINGS => {
            let settings = Category::ALL.into_iter().map(|category| {
                let value = privacy::get(unit, &from.phone, category)?.as_str();
                Ok(json!({"feature": category.as_str(), "setting": value}))
            });
            let settings = settings.collect::<Result<Vec<_>>>()?;
            json!({"xwa2_fetch_wa_users": [own(unit, from, &json!({"privacy_settings": {"settings": settings}}))?]})
        }
        PRIVACY_LISTS => {
            let asked = &query_input(variables)[..query_input(variables).len().min(Category::ALL.len())];
            let lists = asked.iter().map(|input| {
                let list = &input["privacy_contact_list_type"];
                let category = Category::parse(list["category"].as_str().unwrap_or_default())?;
                let people = privacy::exceptions(unit, &from.phone, category)?;
                let contacts = people.iter().map(|person| {
                    json!({
                        "jid": person.jid(Family::Lid, 0).to_string(),
                        "pn_jid": person.jid(Family::Pn, 0).to_string()
                    })
                });
                let contacts: Vec<Json> = contacts.collect();
                let list = json!({"contacts": contacts, "dhash": privacy::hash(&people)});
                own(unit, from, &json!({"privacy_contact_list": list}))
            });
            json!({"xwa2_fetch_wa_users": lists.collect::<Result<Vec<_>>>()?})
        }
        _ => return Ok(None),
    }))
}

/// The asker's own account with `members`.
fn own(unit: &Unit<'_>, from: &Address, members: &Json) -> Result<Json> {
    let account = directory::require(unit, &from.phone)?;
    let mut user = json!({"__typename": "XWA2User", "id": account.jid(Family::Lid, 0).to_string()});
    if let (Some(user), Some(members)) = (user.as_object_mut(), members.as_object()) {
        user.extend(members.clone());
    }
    Ok(user)
}

fn query_input(variables: &Json) -> &[Json] {
    variables["input"]["query_input"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The people named by JIDs in the member `key` of `inputs`.
fn named(unit: &Unit<'_>, inputs: &[Json], key: &str) -> Result<Vec<(Jid, Option<Account>)>> {
    if inputs.len() > MAX_USERS {
        return Err(Error::Invalid("too many people in one question".into()));
    }
    inputs
        .iter()
        .filter_map(|input| input[key].as_str()?.parse::<Jid>().ok())
        .map(|jid| {
            let account = directory::resolve(unit, &jid)?;
            Ok((jid, account))
        })
        .collect()
}

fn about(unit: &Unit<'_>, from: &Address, account: Option<&Account>) -> Result<Option<String>> {
    let Some(account) = account else {
        return Ok(None);
    };
    if !privacy::may_see(unit, &from.phone, &account.phone, Category::Status)? {
        return Ok(None);
    }
    Ok(Some(profile::about(unit, &account.phone)?.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn ask(unit: &Unit<'_>, from: &Account, document: &str, variables: &Json) -> Result<Json> {
        let query = NodeBuilder::new("query")
            .attr("query_id", document)
            .bytes(json!({ "variables": variables }).to_string())
            .build();
        let request = NodeBuilder::new("iq").attr("id", "1").children([query]).build();
        let answer = answer(unit, &Address::new(&from.phone, 1), &request)?;
        let body = wire::child_bytes(&answer, "result")
            .expect("a result")
            .into_owned();
        Ok(serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn people_and_settings_are_told_and_the_rest_refused_in_form() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            profile::set_about(unit, &other, "busy", None)?;
            let lid = other.jid(Family::Lid, 0).to_string();
            let users = ask(
                unit,
                &me,
                USYNC,
                &json!({"input": {"query_input": [{"jid": lid}]}}),
            )?;
            let user = &users["data"]["xwa2_fetch_wa_users"][0];
            assert_eq!(user["about_status_info"]["text"], "busy");
            let settings = ask(unit, &me, PRIVACY_SETTINGS, &json!({}))?;
            let settings = &settings["data"]["xwa2_fetch_wa_users"][0]["privacy_settings"]["settings"];
            assert_eq!(settings.as_array().map(Vec::len), Some(Category::ALL.len()));
            let refused = ask(unit, &me, "1", &json!({}))?;
            assert_eq!(refused["errors"][0]["extensions"]["error_code"], 404);
            let response: wacore::iq::mex::MexResponse = serde_json::from_value(refused).expect("its form");
            assert!(response.fatal_error().is_some());
            Ok(())
        });
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = Address::new(identity::create(unit, None, None)?.phone, 1);
            let query = NodeBuilder::new("query").bytes("{").build();
            for children in [vec![], vec![query]] {
                let request = NodeBuilder::new("iq").attr("id", "1").children(children).build();
                assert!(matches!(answer(unit, &me, &request), Err(Error::Invalid(_))));
            }
            Ok(())
        });
    }
}
