//! Rules that hold for every route, tried on each route of the document: what `null` does to a member, and what a parameter of a
//! path that cannot name anything is told.

use axum::http::Method;
use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use serde_json::{Map, Value, json};
use shared::auth::api_key::Scope;

use crate::management::people::administrator;
use crate::support::{Answer, Caller, World};

/// Parameters that callers spell: one that does not parse is refused by its name.
const SPELT: [&str; 3] = ["chat", "contact", "group"];

/// Parameters that are ids or names of ours: one that does not parse names nothing.
const OPAQUE: [&str; 9] = [
    "instance",
    "key",
    "user",
    "subscription",
    "message",
    "media",
    "delivery",
    "code",
    "token",
];

fn document() -> Value {
    serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON")
}

/// A caller for each route: an administrator, or a key with every scope.
struct Callers {
    administrator: Caller,
    key: Caller,
}

impl Callers {
    async fn of(world: &World) -> Self {
        let (user, sales, _) = world.ready().await;
        let all = json!({"scopes": Scope::ALL});
        let key = world.key(&user, sales, all).await;
        let root = administrator(world, "root@example.com").await;
        world.instance(&root, "sales").await;
        Self {
            administrator: Caller::clone(&root),
            key,
        }
    }

    /// Who may call an operation.
    fn of_operation(&self, operation: &Value) -> &Caller {
        let needs = operation["security"].to_string();
        if needs.contains("apiKey") {
            &self.key
        } else {
            &self.administrator
        }
    }
}

/// The methods and paths of the document, with what it tells of each.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method = method.to_uppercase().parse().expect("a method");
            all.push((method, path.clone(), operation.clone()));
        }
    }
    all
}

/// The parameters of a path.
fn parameters(path: &str) -> Vec<&str> {
    let parts = path.split('/');
    parts
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .collect()
}

/// A path with something that may be there for each of its parameters.
fn filled(path: &str) -> String {
    let ulid = "01JD0000000000000000000000";
    let token = format!("{}A", "x".repeat(53));
    [
        ("chat", "15550100002"),
        ("contact", "15550100002"),
        ("group", "120363021033254949@g.us"),
        ("instance", "sales"),
        ("key", &format!("key_{ulid}")),
        ("user", &format!("user_{ulid}")),
        ("subscription", &format!("sub_{ulid}")),
        ("message", &format!("msg_{ulid}")),
        ("media", &format!("med_{ulid}")),
        ("delivery", &format!("dlv_{ulid}")),
        ("token", &token),
    ]
    .iter()
    .fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    })
}

/// What is wrong with each field, where that is what the answer says.
fn faults(answer: &Answer) -> Vec<String> {
    if answer.json()["error"]["details"]["fields"].is_array() {
        answer.faults()
    } else {
        Vec::new()
    }
}

/// A member of a body: a way to a body that has `null` there, the member's name in faults, and whether `null` is documented.
struct Member {
    body: Value,
    name: String,
    may_be_null: bool,
}

/// Looks into a schema for members that need not be there. `wrap` makes a whole body of a value for the schema.
fn members(
    document: &Value,
    schema: &Value,
    name: &str,
    wrap: &dyn Fn(Value) -> Value,
    found: &mut Vec<Member>,
) {
    let schema = resolved(document, schema);
    if let Some(items) = schema.get("items") {
        let wrap_item = |value: Value| wrap(json!([value]));
        return members(document, items, &format!("{name}[0]"), &wrap_item, found);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some([only]) = schema[choice]
            .as_array()
            .map(|all| {
                let all: Vec<_> = all.iter().filter(|choice| choice["type"] != "null").collect();
                all
            })
            .as_deref()
        {
            return members(document, only, name, wrap, found);
        }
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (property, of) in properties {
        let at = if name.is_empty() {
            property.clone()
        } else {
            format!("{name}.{property}")
        };
        let with = |value: Value| wrap(Value::Object(Map::from_iter([(property.clone(), value)])));
        if !required.contains(&json!(property)) {
            found.push(Member {
                body: with(Value::Null),
                name: at.clone(),
                may_be_null: takes_null(document, of),
            });
        }
        members(document, of, &at, &with, found);
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .expect("it leads somewhere"),
        None => schema,
    }
}

fn takes_null(document: &Value, schema: &Value) -> bool {
    let schema = resolved(document, schema);
    let of_type = match &schema["type"] {
        Value::String(one) => one == "null",
        Value::Array(several) => several.contains(&json!("null")),
        _ => false,
    };
    let of_choice = ["oneOf", "anyOf"].iter().any(|choice| {
        let choices = schema[choice].as_array().cloned().unwrap_or_default();
        choices.iter().any(|choice| takes_null(document, choice))
    });
    of_type || of_choice
}

/// `null` is "none" where the document says that it may be there, and is refused by the member's name elsewhere.
#[tokio::test]
async fn null_is_none_where_that_is_told_and_refused_by_name_elsewhere() {
    let world = World::new().await;
    let callers = Callers::of(&world).await;
    let document = document();
    let (mut refused, mut taken) = (0, 0);
    for (method, path, operation) in operations(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let mut all = Vec::new();
        members(&document, schema, "", &|body| body, &mut all);
        for member in all {
            let caller = callers.of_operation(&operation);
            let answer = caller.request(method.clone(), &filled(&path), &member.body).await;
            let told = format!("{} must not be null", member.name);
            let faults = faults(&answer);
            let route = format!("{method} {path}: {} gives {faults:?}", member.name);
            if member.may_be_null {
                let about = format!("{} ", member.name);
                assert!(!faults.iter().any(|fault| fault.starts_with(&about)), "{route}");
                taken += 1;
            } else {
                assert!(faults.contains(&told), "{route} {}", answer.json());
                refused += 1;
            }
        }
    }
    assert!(refused > 30 && taken > 30, "{refused} {taken}");
}

#[tokio::test]
async fn a_parameter_that_names_nothing_is_told_so() {
    let world = World::new().await;
    let callers = Callers::of(&world).await;
    let document = document();
    for (method, path, operation) in operations(&document) {
        for parameter in parameters(&path) {
            // The page says by itself what is wrong with a link.
            if parameter == "file" || path == "/pair/{token}" {
                continue;
            }
            let is_spelt = SPELT.contains(&parameter);
            assert!(
                is_spelt || OPAQUE.contains(&parameter),
                "{path}: which kind is {parameter}?"
            );
            let wrong = filled(&path.replace(&format!("{{{parameter}}}"), "No%20such%20thing!"));
            let caller = callers.of_operation(&operation);
            let needs_body = !operation["requestBody"].is_null();
            let body = needs_body.then(|| json!({}));
            let answer = caller.request(method.clone(), &wrong, body).await;
            if is_spelt {
                assert_eq!(answer.code(), "400 VALIDATION_ERROR", "{method} {path}");
                let faults = faults(&answer);
                let rule = format!("{parameter} must ");
                assert!(
                    faults.len() == 1 && faults[0].starts_with(&rule),
                    "{method} {path}: {faults:?}"
                );
            } else {
                assert_eq!(answer.code(), "404 NOT_FOUND", "{method} {path}");
            }
        }
    }
}
