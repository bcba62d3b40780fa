//! An address that stays while daemons come and go.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::Daemon;

/// An address that stays, and leads to one daemon after another, or to nobody.
pub(crate) struct Door {
    pub(crate) url: String,
    to: Arc<Mutex<Option<String>>>,
}

impl Door {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let to = Arc::new(Mutex::new(None));
        let shared = to.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let to: Option<String> = shared.lock().clone();
                // A daemon that is just ending counts as nobody.
                if let Some(there) = to.and_then(|to| TcpStream::connect(to).ok()) {
                    join(stream, there);
                }
            }
        });
        Self { url, to }
    }

    pub(crate) fn lead_to(&self, daemon: Option<&Daemon>) {
        *self.to.lock() = daemon.map(|daemon| daemon.url.trim_start_matches("http://").to_owned());
    }
}

/// Carries bytes both ways until both sides have ended.
fn join(here: TcpStream, there: TcpStream) {
    let (here_too, there_too) = (here.try_clone().expect("a stream"), there.try_clone().expect("a stream"));
    for (mut from, mut to) in [(here, there_too), (there, here_too)] {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}
