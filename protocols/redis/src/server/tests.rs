//! The server's end, step by step.

use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::wire::Limits;

const T0: Instant = Instant::ZERO;

fn commands(connection: &mut ServerConnection, input: &mut BytesMut) -> Result<Vec<Vec<u8>>, Error> {
    let mut names = Vec::new();
    while let Some(ServerEvent::Command(command)) = connection.poll_event(T0, input)? {
        names.push(command.name().to_vec());
    }
    Ok(names)
}

fn sent(connection: &mut ServerConnection) -> Vec<u8> {
    let mut out = SendBuf::new();
    connection.poll_transmit(T0, &mut out);
    out.take_all().to_vec()
}

#[test]
fn answers_go_out_in_order_and_in_the_version_that_was_set() {
    let mut connection = ServerConnection::new(T0, ServerConfig::new());
    let mut input = BytesMut::from("PING\r\n*1\r\n$3\r\nGET\r\n");
    assert_eq!(commands(&mut connection, &mut input), Ok(alloc::vec![b"PING".to_vec(), b"GET".to_vec()]));
    assert_eq!(connection.unanswered(), 2);
    connection.reply(&Value::Null);
    connection.set_protocol(Protocol::Resp3);
    connection.reply(&Value::Null);
    connection.push(&Value::Push(alloc::vec![Value::bulk("x")]));
    assert_eq!(connection.unanswered(), 0);
    assert_eq!(sent(&mut connection), b"$-1\r\n_\r\n>1\r\n$1\r\nx\r\n");
}

#[test]
fn too_much_that_is_unanswered_pauses_reading() {
    let mut connection = ServerConnection::new(T0, ServerConfig::new().max_unanswered(2).max_output(1024));
    let mut input = BytesMut::from("PING\nPING\nPING\n");
    assert_eq!(commands(&mut connection, &mut input).map(|names| names.len()), Ok(2));
    assert_eq!(connection.interest().read, ReadInterest::Paused);
    connection.reply(&Value::bulk([b'x'; 2000]));
    assert_eq!(commands(&mut connection, &mut input), Ok(Vec::new()), "too much output waits");
    assert_eq!(sent(&mut connection).len(), 2009);
    assert_eq!(commands(&mut connection, &mut input).map(|names| names.len()), Ok(1));
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut connection = ServerConnection::new(T0, ServerConfig::new().max_output_hard(4096));
    for _ in 0..6 {
        connection.push(&Value::bulk([0; 1000]));
    }
    assert!(matches!(connection.poll_event(T0, &mut BytesMut::new()), Err(Error::Limit(_))));
    assert!(connection.interest().is_closed());
}

#[test]
fn invalid_bytes_get_a_last_word() {
    let mut connection =
        ServerConnection::new(T0, ServerConfig::new().limits(Limits::default().max_bulk_len(100)));
    let mut input = BytesMut::from("*1\r\n$101\r\n");
    assert!(commands(&mut connection, &mut input).is_err());
    assert!(!connection.interest().is_closed());
    assert_eq!(sent(&mut connection), b"-ERR Protocol error: 101 exceeds max_bulk_len of 100\r\n");
    assert!(connection.interest().is_closed());
}

#[test]
fn the_end_of_the_stream_lets_answers_out() {
    let mut connection = ServerConnection::new(T0, ServerConfig::new());
    let mut input = BytesMut::from("PING\n");
    connection.handle_eof(T0);
    assert_eq!(commands(&mut connection, &mut input).map(|names| names.len()), Ok(1));
    assert!(!connection.interest().is_closed());
    connection.reply(&Value::OK);
    assert_eq!(sent(&mut connection), b"+OK\r\n");
    assert!(connection.interest().is_closed());

    let mut connection = ServerConnection::new(T0, ServerConfig::new());
    connection.handle_eof(T0);
    assert_eq!(commands(&mut connection, &mut BytesMut::from("PIN")), Err(Error::UnexpectedEof));
}

#[test]
fn closing_reads_nothing_more() {
    let mut connection = ServerConnection::new(T0, ServerConfig::new());
    let mut input = BytesMut::from("PING\nPING\n");
    assert!(matches!(connection.poll_event(T0, &mut input), Ok(Some(_))));
    connection.close(T0);
    assert_eq!(connection.poll_event(T0, &mut input), Ok(None));
    assert!(!connection.interest().is_closed());
    connection.reply(&Value::OK);
    sent(&mut connection);
    assert!(connection.interest().is_closed());
}

#[test]
fn an_idle_client_is_hung_up_on_if_so_configured() {
    let second = Duration::from_secs(1);
    let mut connection = ServerConnection::new(T0, ServerConfig::new().idle_timeout(Some(second)));
    connection.handle_timeout(T0 + second / 2);
    assert_eq!(connection.poll_event(T0, &mut BytesMut::new()), Ok(None));
    connection.handle_timeout(T0 + second);
    assert_eq!(connection.poll_event(T0, &mut BytesMut::new()), Err(Error::TimedOut(Phase::Idle)));
}
