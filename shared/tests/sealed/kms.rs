//! What is asked of KMS, by a server that answers one request.

use serde_json::{Value, json};
use shared::ids::InstanceId;
use shared::seal::{KeyContext, KeyError, KeyWrapper as _, KmsKeyWrapper, Purpose};
use testbed::relay::Call;
use testbed::rights::{self, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with `status` and `body`; its task ends with what was asked: the
/// operation and its input.
async fn answering(status: &'static str, body: Value) -> (KmsKeyWrapper, JoinHandle<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let wrapper = KmsKeyWrapper::new(
        &shared::aws::stand_in(&format!("http://{}", listener.local_addr().expect("bound"))),
        "alias/waxwing",
    );
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        let (head, input) = loop {
            stream.read_buf(&mut request).await.expect("read");
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, input)) = text.split_once("\r\n\r\n")
                && let Ok(input) = serde_json::from_str(input)
            {
                break (head.to_lowercase(), input);
            }
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.expect("written");
        let target = head
            .lines()
            .find_map(|line| line.strip_prefix("x-amz-target: trentservice."));
        (target.expect("an operation").to_owned(), input)
    });
    (wrapper, served)
}

fn context() -> KeyContext {
    KeyContext {
        purpose: Purpose::Session,
        instance: InstanceId::from_bytes([1; 16]),
    }
}

/// Whose policies allow such a request.
fn allowed_to(operation: &str, input: &Value) -> Vec<Role> {
    let call = Call {
        operation: operation.to_owned(),
        body: input.to_string(),
    };
    let may = |role: &Role| rights::denied(*role, [&call]).is_empty();
    Role::ALL.into_iter().filter(may).collect()
}

fn bound(context: &KeyContext) -> Value {
    json!({"purpose": "session", "instance": context.instance.to_string()})
}

#[tokio::test]
async fn a_data_key_is_made_in_its_encryption_context() {
    let plain = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let answer = json!({"KeyId": "k", "Plaintext": plain, "CiphertextBlob": "d3JhcHBlZA=="});
    let (wrapper, served) = answering("200 OK", answer).await;
    let (_, wrapped_key) = wrapper.generate(&context()).await.expect("made");
    assert_eq!(wrapped_key, b"wrapped");
    let (operation, input) = served.await.expect("served");
    assert_eq!(operation, "generatedatakey");
    assert_eq!(input["KeyId"], "alias/waxwing");
    assert_eq!(input["KeySpec"], "AES_256");
    assert_eq!(input["EncryptionContext"], bound(&context()));
    assert_eq!(allowed_to("GenerateDataKey", &input), [Role::Daemon]);
}

#[tokio::test]
async fn a_wrapped_key_is_opened_in_its_encryption_context() {
    let plain = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let (wrapper, served) = answering("200 OK", json!({"KeyId": "k", "Plaintext": plain})).await;
    wrapper.unwrap(&context(), b"wrapped").await.expect("opened");
    let (operation, input) = served.await.expect("served");
    assert_eq!(operation, "decrypt");
    assert_eq!(input["CiphertextBlob"], "d3JhcHBlZA==");
    assert_eq!(input["EncryptionContext"], bound(&context()));
    assert_eq!(allowed_to("Decrypt", &input), [Role::Daemon]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let refusal = |code: &str| json!({"__type": code, "message": ""});
    let (wrapper, _served) = answering("400 Bad Request", refusal("InvalidCiphertextException")).await;
    assert!(matches!(
        wrapper.unwrap(&context(), b"wrapped").await,
        Err(KeyError::WrongContext)
    ));
    let (wrapper, _served) = answering("400 Bad Request", refusal("AccessDeniedException")).await;
    assert!(matches!(
        wrapper.unwrap(&context(), b"wrapped").await,
        Err(KeyError::Refused(_))
    ));
}
