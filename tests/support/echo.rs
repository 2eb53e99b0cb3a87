//! A server that repeats what it was sent in its error: the Authorization header and every field of the body.

use std::sync::{Arc, Mutex};

use super::listener::{Reply, Request, serve};

pub struct Server {
    pub url: String,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers every request with this status.
    pub fn start(status: u16) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sent);
        let url = serve(move |request| {
            let secrets = secrets(&request);
            let words = format!("not with {}", secrets.join(" and "));
            noted.lock().unwrap().extend(secrets);
            let body = serde_json::json!({"error": "strange", "error_description": words, "detail": words});
            Reply::new(status, "application/json", body.to_string())
        });
        Self { url, sent }
    }

    /// The secrets that it has received.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

fn secrets(request: &Request) -> Vec<String> {
    let authorization = request.header("authorization").and_then(|value| value.rsplit(' ').next());
    let is_secret = |name: &str| matches!(name, "refresh_token" | "token" | "client_secret" | "code" | "code_verifier");
    let fields = form_urlencoded::parse(&request.body).filter(|(name, _)| is_secret(name));
    authorization.map(str::to_owned).into_iter().chain(fields.map(|(_, value)| value.into_owned())).collect()
}
