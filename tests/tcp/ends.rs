//! How a conversation ends, and what happens to those that do not.

use super::*;

support::on_each_executor![
    a_peer_that_never_reads,
    a_peer_that_never_writes,
    a_deadline_that_giving_up_does_not_stretch,
    half_close,
    what_is_sent_last_arrives,
    what_is_sent_last_arrives_although_nobody_read,
    closing_waits_for_the_peer_and_not_for_ever,
];

async fn a_peer_that_never_reads<R: Runtime>(runtime: R) {
    let (near, far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().write_buffer(1000).write_timeout(Some(SOON)));
    let piece = Bytes::from(vec![7; 900]);
    let error = loop {
        match near.send(piece.clone()).await {
            Ok(()) => assert!(near.unsent() < 1000 + piece.len(), "{} bytes are queued", near.unsent()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::WriteTimedOut), "{error}");
    assert!(matches!(near.flush().await, Err(Error::WriteTimedOut)));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    // What is queued stays, and goes out once the peer reads.
    let unsent = near.unsent();
    assert!(unsent > 0);
    let mut far = far;
    let (flushed, ()) = join(near.close(), async { while far.read_any().await.is_ok() {} }).await;
    flushed.expect("flushed in the end");
}

async fn a_peer_that_never_writes<R: Runtime>(runtime: R) {
    let (near, mut far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().read_timeout(Some(SOON)));
    let begin = runtime.now();
    assert!(matches!(near.read_line().await, Err(Error::ReadTimedOut)));
    assert!(runtime.now() >= begin + SOON);
    // Late is not lost.
    far.send("late\n").await.expect("sent");
    assert_eq!(near.read_line().await.expect("a line"), "late");
}

async fn a_deadline_that_giving_up_does_not_stretch<R: Runtime>(runtime: R) {
    let (near, _far) = conversation(&runtime).await;
    let mut near = near.config(Config::default().read_timeout(Some(SOON)));
    let begin = runtime.now();
    // Something else happens all the time, and what it takes away is the reader's future, not its deadline.
    let error = loop {
        if let Ok(read) = within(&runtime, Some(SOON / 10), near.read_line()).await {
            break read.expect_err("nobody writes");
        }
        assert!(runtime.now() < begin + Duration::from_secs(30), "the deadline never comes");
    };
    assert!(matches!(error, Error::ReadTimedOut), "{error}");
}

async fn half_close<R: Runtime>(runtime: R) {
    let (mut near, mut far) = conversation(&runtime).await;
    near.send("question").await.expect("sent");
    near.finish().await.expect("finished");
    near.finish().await.expect("finished already");
    near.flush().await.expect("nothing to flush");
    assert!(matches!(near.send("more").await, Err(Error::Finished)));
    assert_eq!(closed_with(&far.read_line().await.expect_err("the end")), b"question");
    sleep(&runtime, SOON).await;
    far.send("answer\n").await.expect("sent");
    assert_eq!(near.read_line().await.expect("an answer"), "answer");
}

async fn what_is_sent_last_arrives<R: Plug>(runtime: R) {
    const MUCH: usize = 1_000_000;
    let function = handler(|mut connection: Connection<R>| async move {
        for n in 0..MUCH / 1000 {
            connection.send(vec![n as u8; 1000]).await.expect("sent");
        }
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut near = connected(&runtime, &at).await;
        sleep(&runtime, SOON).await;
        let mut count = 0;
        while let Ok(bytes) = near.read_any().await {
            count += bytes.len();
        }
        assert_eq!(count, MUCH);
    })
    .await;
}

async fn what_is_sent_last_arrives_although_nobody_read<R: Plug>(runtime: R) {
    let function = handler(|mut connection: Connection<R>| async move {
        connection.read_exact(1).await.expect("a byte");
        connection.send(vec![1; 300_000]).await.expect("sent");
        connection.send("goodbye").await.expect("sent");
    });
    served(bind(&runtime).await, function, async |at, _| {
        let mut near = connected(&runtime, &at).await;
        // More than the function reads: closing a socket with unread input resets it, and a reset loses what was sent last.
        near.send(vec![0; 10_000]).await.expect("sent");
        sleep(&runtime, SOON).await;
        let mut all = Vec::new();
        loop {
            match near.read_any().await {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(error) => break assert!(error.is_closed(), "{error:?}"),
            }
        }
        assert_eq!((all.len(), all.ends_with(b"goodbye")), (300_007, true));
    })
    .await;
}

async fn closing_waits_for_the_peer_and_not_for_ever<R: Runtime>(runtime: R) {
    // A peer that neither ends nor sends.
    let (near, far) = conversation(&runtime).await;
    let begin = runtime.now();
    far.config(Config::default().linger(SOON)).close().await.expect("flushed");
    assert!(runtime.now() >= begin + SOON);
    drop(near);
    // A peer that does not hear: it sends on and on.
    let (mut near, far) = conversation(&runtime).await;
    let flood = async { while near.send(vec![0; 10_000]).await.is_ok() {} };
    let patient = Config::default().linger(Duration::from_secs(3600));
    let (closed, ()) = join(far.config(patient).close(), flood).await;
    closed.expect("flushed");
}

#[test]
fn an_idle_connection_reads_on_nobodys_account() {
    // The futures of the verbs may move between threads when the plug's types may.
    fn moves<T: Send>(_: &T) {}
    support::on_tokio(|runtime| async move {
        let (mut near, mut far) = conversation(&runtime).await;
        moves(&near.read_line());
        moves(&near.send("x"));
        moves(&near.send_stream(&mut Cursor::new([1])));
        moves(&connect(&runtime, "localhost", 1));
        let writing = tokio::spawn(async move {
            near.send("from another thread\n").await.expect("sent");
            near.close().await.expect("closed");
        });
        assert_eq!(far.read_line().await.expect("a line"), "from another thread");
        drop(far);
        writing.await.expect("ended");
    });
}
