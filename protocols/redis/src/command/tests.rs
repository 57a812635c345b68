//! Commands, against a decoder of commands.

use alloc::vec;

use bytes::BytesMut;

use super::*;
use crate::commands::{BitFieldOps, bitfield};
use crate::wire::{CommandDecoder, Limits};

/// The arguments that come out at the other end.
fn received(command: &Command) -> Vec<Vec<u8>> {
    let bytes = command.to_vec();
    assert_eq!(command.encoded_len(), bytes.len());
    let mut input = BytesMut::from(&bytes[..]);
    let received = CommandDecoder::new(Limits::default()).decode(&mut input).expect("valid").expect("whole");
    assert!(input.is_empty());
    received.args().map(<[u8]>::to_vec).collect()
}

#[test]
fn arguments_of_every_length_arrive() {
    for len in [0, 1, 9, 10, 40, 46, 47, 48, 49, 50, 51, 52, 99, 100, 101, 1000, 1023, 1024, 5000] {
        let arg = vec![b'x'; len];
        let expected = [b"GET".to_vec(), arg.clone(), b"end".to_vec()];
        assert_eq!(received(&Command::new("GET").arg(&arg).arg("end")), expected, "{len} copied");
        assert_eq!(received(&Command::new("GET").arg(Bytes::from(arg)).arg("end")), expected, "{len} kept");
    }
}

#[test]
fn any_number_of_arguments_arrives() {
    for count in [0, 1, 7, 8, 9, 10, 11, 98, 99, 100, 1000] {
        let command = Command::new("DEL").args((0..count).map(|at| alloc::format!("{at}")));
        assert_eq!(command.arg_count(), count + 1);
        let args = received(&command);
        assert_eq!(args.len(), count + 1);
        assert_eq!(
            args.last().map(Vec::len),
            Some(if count == 0 { 3 } else { alloc::format!("{}", count - 1).len() })
        );
    }
}

#[test]
fn long_arguments_are_sent_from_where_they_are() {
    let long = Bytes::from(vec![b'x'; 4000]);
    let command = Command::new("MSET").arg("a").arg(&long).arg("b").arg(long.clone());
    let mut out = SendBuf::new();
    command.encode(&mut out);
    assert_eq!(out.chunks().filter(|chunk| chunk.as_ptr() == long.as_ptr()).count(), 2);
}

#[test]
fn numbers_and_words() {
    let command = Command::new("X").arg(-5i8).arg(u64::MAX).arg(1.5).arg(f64::INFINITY).arg(true).arg(3.0f32);
    let command =
        command.option("OPT", Some(7)).option("OPT", None::<i64>).word_if(true, "YES").word_if(false, "NO");
    let args = received(&command.pairs([("a", 1)]));
    let expected: [&[u8]; 12] =
        [b"X", b"-5", b"18446744073709551615", b"1.5", b"inf", b"1", b"3", b"OPT", b"7", b"YES", b"a", b"1"];
    assert_eq!(args, expected);
    let ops = BitFieldOps::new().get("u8", 0).incrby("i5", "#100", 1);
    let expected: [&[u8]; 9] = [b"BITFIELD", b"k", b"GET", b"u8", b"0", b"INCRBY", b"i5", b"#100", b"1"];
    assert_eq!(received(bitfield("k", &ops).command()), expected);
}

#[test]
fn what_a_command_holds_stays_secret() {
    let shown = alloc::format!("{:?}", Command::new("AUTH").arg("secret"));
    assert_eq!(shown, "Command(AUTH +1)");
}
