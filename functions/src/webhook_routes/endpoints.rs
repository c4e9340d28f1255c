//! The list of these routes. Each side has all of them, below a path of its own.

/// Every endpoint below `$path`. `$name` is what their ids call the webhook: with `InstanceWebhook` there are
/// `getInstanceWebhook`, `rotateInstanceWebhookSecret` and so on.
macro_rules! endpoints {
    ($path:literal, $name:literal) => {{
        use $crate::webhook_routes::{delete, deliveries, put, replay, rotate_secret, show, test};
        vec![
            put::put($path, concat!("set", $name)),
            put::post($path, concat!("create", $name)),
            show::endpoint($path, concat!("get", $name)),
            delete::endpoint($path, concat!("delete", $name)),
            test::endpoint(concat!($path, "/test"), concat!("test", $name)),
            rotate_secret::endpoint(
                concat!($path, "/rotate-secret"),
                concat!("rotate", $name, "Secret"),
            ),
            deliveries::list::endpoint(
                concat!($path, "/deliveries"),
                concat!("list", $name, "Deliveries"),
            ),
            deliveries::replay::endpoint(
                concat!($path, "/deliveries/{delivery}/replay"),
                concat!("replay", $name, "Delivery"),
            ),
            replay::endpoint(concat!($path, "/replay"), concat!("replay", $name)),
        ]
    }};
}

pub(crate) use endpoints;
