mod page;
mod passkey;
mod state;

use serde_json::Value;

use crate::support::{Caller, World};

/// The page's path of a new link.
pub async fn link(user: &Caller, instance: &str) -> String {
    let path = format!("/api/instances/{instance}/pairing-link");
    let made = user.post(&path, ()).await.data(201);
    let url = made["url"].as_str().expect("a URL");
    let (_, token) = url.rsplit_once("/pair/").expect("a page's URL");
    format!("/pair/{token}")
}

/// How a link is; an error where there is none.
pub async fn how(world: &World, page: &str) -> String {
    let answer = world.nobody.get(&format!("{page}/state")).await;
    if answer.status != 200 {
        return answer.error();
    }
    let link: Value = answer.data(200)["link"].clone();
    link.as_str().expect("a text").to_owned()
}
