//! A server that repeats in its error what it was sent: the Authorization header and every field of the body.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

pub struct Server {
    pub url: String,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers everything with this status.
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sent);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut length, mut secrets) = (0, Vec::new());
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if lower.starts_with("authorization:") {
                        secrets.push(line.trim().rsplit(' ').next().unwrap().to_owned());
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                for (name, value) in form_urlencoded::parse(&body) {
                    if matches!(&*name, "refresh_token" | "token" | "client_secret" | "code" | "code_verifier") {
                        secrets.push(value.into_owned());
                    }
                }
                let words = format!("not with {}", secrets.join(" and "));
                noted.lock().unwrap().extend(secrets);
                let body = serde_json::json!({"error": "strange", "error_description": words, "detail": words});
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        Self { url, sent }
    }

    /// The secrets that it has seen.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}
