//! TCP with a way to go: what comes in on one side goes out on the other a fixed time later, in both directions.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;

use crate::trial::Latency;

const CHUNK: usize = 1 << 16;

/// Serves until it is stopped. Tells of each connection that ends how late its chunks were, in microseconds beyond `delay`.
pub fn serve(listen: SocketAddrV4, to: SocketAddrV4, delay: Duration) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    for near in listener.incoming() {
        let near = near?;
        let far = TcpStream::connect(to)?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let there = forward(near.try_clone()?, far.try_clone()?, delay);
        let back = forward(far, near, delay);
        thread::spawn(move || {
            let late = [there, back].map(|way| way.join().ok());
            if let [Some(there), Some(back)] = late {
                let late = json!({ "there": Latency::of(&there), "back": Latency::of(&back) });
                println!("{}", json!({ "chunks": there.len() + back.len(), "lateUs": late }));
            }
        });
    }
    Ok(())
}

/// Two threads: one reads, so that each chunk has the time at which it came; one waits and writes.
fn forward(from: TcpStream, to: TcpStream, delay: Duration) -> thread::JoinHandle<Histogram<u32>> {
    let (sender, receiver) = channel();
    thread::spawn(move || read(from, &sender));
    thread::spawn(move || write(to, &receiver, delay))
}

fn read(mut from: TcpStream, sender: &Sender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if sender.send((Instant::now(), buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>, delay: Duration) -> Histogram<u32> {
    // A sleep of this thread ends when it is over, and not up to 50 us later.
    // SAFETY: no pointers are passed.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
    // 100 ns to 100 s, three digits.
    let mut late = Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("the bounds are in order");
    for (came, chunk) in receiver {
        let due = came + delay;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        late.saturating_record((due.elapsed().as_nanos() / 100) as u64);
        if to.write_all(&chunk).is_err() {
            break;
        }
    }
    // The other way ends, too.
    let _ = to.shutdown(Shutdown::Both);
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_goes_out_later_and_in_order() {
        let (near, far) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let mut client = TcpStream::connect(near.local_addr().unwrap()).unwrap();
        let proxied = near.accept().unwrap().0;
        let onward = TcpStream::connect(far.local_addr().unwrap()).unwrap();
        let mut server = far.accept().unwrap().0;
        let way = forward(proxied, onward, Duration::from_millis(20));

        let start = Instant::now();
        client.write_all(b"one").unwrap();
        client.write_all(b"two").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(!way.join().unwrap().is_empty());
    }
}
