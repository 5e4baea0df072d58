//! A program with the crate etcd-client, as the fault table measures it.
//!
//! Puts a key every 50 ms and watches another one, with the client's defaults. Each completed call
//! and each event is a line, as those of client.py.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_client::{Client, Error};
use tokio::time::sleep;

/// Between calls, and before another try.
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let addresses = std::env::args().nth(1).unwrap_or_default();
    let client = Client::connect(addresses.split(',').collect::<Vec<_>>(), None).await?;
    tokio::join!(put(client.clone()), watch(client));
    Ok(())
}

async fn put(mut client: Client) {
    loop {
        let result = client.put("faults/put", "value", None).await;
        say("put", result.is_ok());
        sleep(PAUSE).await;
    }
}

async fn watch(mut client: Client) {
    loop {
        // Ends when the stream does, in order or not.
        let _ = follow(&mut client).await;
        say("watch", false);
        sleep(PAUSE).await;
    }
}

async fn follow(client: &mut Client) -> Result<(), Error> {
    let mut stream = client.watch("faults/feed", None).await?;
    while let Some(message) = stream.message().await? {
        for _ in message.events() {
            say("watch", true);
        }
    }
    Ok(())
}

fn say(call: &str, is_ok: bool) {
    let result = if is_ok { "ok" } else { "failed" };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is not 1970");
    // The driver has ended, if it cannot be written.
    let _ = writeln!(io::stdout(), "{call} {result} {:.3}", now.as_secs_f64());
}
