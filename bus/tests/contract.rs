//! What both transports promise, checked on both with the same code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod parties;

use bus::{INBOX_MAX_MESSAGES, Incoming, Party, PublishError};
use bytes::Bytes;
use domain::GatewayId;
use parties::{Broker, Hub, Transport, bridge, connected, gateway, message, next, topic, until_message};
use wire::bus::{Channel, MESSAGE_MAX_BYTES, Up};

macro_rules! on_both {
    ($($name:ident)*) => {
        mod within_one_process {
            $(#[tokio::test] async fn $name() { super::$name(super::Hub::default()).await; })*
        }
        mod through_mosquitto {
            $(#[tokio::test] async fn $name() { super::$name(super::Broker::default()).await; })*
        }
    };
}

on_both! {
    connected_comes_first_and_messages_arrive_in_order
    each_party_reads_what_is_for_it_only
    a_party_may_not_write_what_is_not_its_own
    a_message_that_is_too_long_is_refused_and_the_longest_arrives
    a_gateway_that_dies_is_reported_to_the_bridge
    a_gateway_that_says_goodbye_is_not_reported
    a_name_used_twice_ends_the_first
    a_broken_connection_is_told_and_set_up_again
    publishing_while_the_connection_is_down_is_refused_at_once
    a_consumer_that_does_not_take_its_messages_costs_bounded_memory_and_none_of_the_later_service
    bytes_are_carried_unchanged
    a_closed_link_takes_nothing
    two_bridges_both_hear_a_gateway
}

async fn connected_comes_first_and_messages_arrive_in_order(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let gateway = transport.join(gateway("gw-1")).await;
    for n in 0..50_u8 {
        gateway.publisher.publish(&topic("gw-1", Channel::Events), vec![n]).await.unwrap();
    }
    for n in 0..50_u8 {
        let message = message(&mut bridge).await;
        assert_eq!((message.topic, &message.bytes[..]), (topic("gw-1", Channel::Events), &[n][..]));
        assert!(!message.retained && !message.duplicate);
    }
}

async fn each_party_reads_what_is_for_it_only(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let mut first = transport.join(gateway("gw-1")).await;
    let mut second = transport.join(gateway("north/gw-2")).await;
    for channel in Channel::DOWN {
        bridge.publisher.publish(&topic("gw-1", channel), "for 1").await.unwrap();
        bridge.publisher.publish(&topic("north/gw-2", channel), "for 2").await.unwrap();
    }
    for channel in Channel::DOWN {
        assert_eq!(message(&mut first).await.topic, topic("gw-1", channel));
        let second = message(&mut second).await;
        assert_eq!((second.topic, &second.bytes[..]), (topic("north/gw-2", channel), &b"for 2"[..]));
    }
    for channel in Channel::UP {
        first.publisher.publish(&topic("gw-1", channel), "up").await.unwrap();
        assert_eq!(message(&mut bridge).await.topic, topic("gw-1", channel));
    }
}

async fn a_party_may_not_write_what_is_not_its_own(transport: impl Transport) {
    let bridge = transport.join(bridge("b1")).await;
    let gateway = transport.join(gateway("gw-1")).await;
    let refused = Err(PublishError::NotAllowed);
    for channel in Channel::DOWN {
        assert_eq!(gateway.publisher.try_publish(&topic("gw-1", channel), "x"), refused);
    }
    for channel in Channel::UP {
        assert_eq!(gateway.publisher.try_publish(&topic("gw-2", channel), "x"), refused);
        assert_eq!(bridge.publisher.publish(&topic("gw-1", channel), "x").await, refused);
    }
}

async fn a_message_that_is_too_long_is_refused_and_the_longest_arrives(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let gateway = transport.join(gateway("gw-1")).await;
    let events = topic("gw-1", Channel::Events);
    let longest = Bytes::from(vec![b'x'; MESSAGE_MAX_BYTES]);
    gateway.publisher.publish(&events, longest.clone()).await.unwrap();
    assert_eq!(message(&mut bridge).await.bytes, longest);
    let too_long = vec![b'x'; MESSAGE_MAX_BYTES + 1];
    assert_eq!(gateway.publisher.try_publish(&events, too_long), Err(PublishError::TooLong(MESSAGE_MAX_BYTES + 1)));
}

async fn a_gateway_that_dies_is_reported_to_the_bridge(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let gateway = transport.join(gateway("gw-1")).await;
    drop(gateway);
    let will = message(&mut bridge).await;
    assert_eq!(will.topic, topic("gw-1", Channel::Status));
    assert_eq!(Up::decode(&will.bytes), Ok(Up::Gone(GatewayId::new("gw-1").unwrap())));
    assert!(!will.retained);
}

async fn a_gateway_that_says_goodbye_is_not_reported(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let gateway = transport.join(gateway("gw-1")).await;
    gateway.publisher.publish(&topic("gw-1", Channel::Events), "last words").await.unwrap();
    gateway.inbox.close().await;
    assert_eq!(message(&mut bridge).await.bytes, "last words");
    // Whatever came before the next gateway's message would be the will.
    let other = transport.join(self::gateway("gw-2")).await;
    other.publisher.publish(&topic("gw-2", Channel::Events), "next").await.unwrap();
    assert_eq!(message(&mut bridge).await.bytes, "next");
}

async fn a_name_used_twice_ends_the_first(transport: impl Transport) {
    let mut bridge = transport.join(bridge("b1")).await;
    let mut first = transport.join(gateway("gw-1")).await;
    let second = transport.join(gateway("gw-1")).await;
    assert!(matches!(next(&mut first).await, None | Some(Incoming::Lost { .. })));
    drop(first);
    second.publisher.publish(&topic("gw-1", Channel::Events), "second").await.unwrap();
    let heard = until_message(&mut bridge, |message| message.topic.channel == Channel::Events).await;
    assert_eq!(heard.bytes, "second");
}

async fn a_broken_connection_is_told_and_set_up_again(transport: impl Transport) {
    let mut transport = transport;
    let mut bridge = transport.join(bridge("b1")).await;
    let mut gateway = transport.join(gateway("gw-1")).await;
    for _ in 0..2 {
        transport.cut();
        assert!(matches!(next(&mut gateway).await, Some(Incoming::Lost { .. })));
        assert!(matches!(next(&mut bridge).await, Some(Incoming::Lost { .. })));
        transport.mend();
        connected(&mut gateway).await;
        connected(&mut bridge).await;
    }
    gateway.publisher.publish(&topic("gw-1", Channel::Events), "again").await.unwrap();
    assert_eq!(until_message(&mut bridge, |message| message.topic.channel == Channel::Events).await.bytes, "again");
    bridge.publisher.publish(&topic("gw-1", Channel::Ack), "and back").await.unwrap();
    assert_eq!(message(&mut gateway).await.bytes, "and back");
}

async fn publishing_while_the_connection_is_down_is_refused_at_once(transport: impl Transport) {
    let mut transport = transport;
    let mut gateway = transport.join(gateway("gw-1")).await;
    transport.cut();
    assert!(matches!(next(&mut gateway).await, Some(Incoming::Lost { .. })));
    let events = topic("gw-1", Channel::Events);
    assert_eq!(gateway.publisher.try_publish(&events, "x"), Err(PublishError::Down));
    assert_eq!(gateway.publisher.publish(&events, "x").await, Err(PublishError::Down));
}

async fn a_consumer_that_does_not_take_its_messages_costs_bounded_memory_and_none_of_the_later_service(
    transport: impl Transport,
) {
    let mut bridge = transport.join(bridge("b1")).await;
    let mut gateway = transport.join(gateway("gw-1")).await;
    let events = topic("gw-1", Channel::Events);
    let mut refused = false;
    for n in 0..(4 * INBOX_MAX_MESSAGES) {
        match gateway.publisher.try_publish(&events, n.to_string()) {
            Ok(()) => {}
            Err(PublishError::Full) => {
                refused = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused, "somewhere a queue is full: the sender is told");
    let mut last = None;
    for _ in 0..20 {
        let message = message(&mut bridge).await;
        let n: u64 = String::from_utf8(message.bytes.to_vec()).unwrap().parse().unwrap();
        assert!(last.is_none_or(|last| n == last + 1), "in order: {n} after {last:?}");
        last = Some(n);
    }
    bridge.publisher.publish(&topic("gw-1", Channel::Ack), "alive").await.unwrap();
    assert_eq!(message(&mut gateway).await.bytes, "alive");
}

async fn bytes_are_carried_unchanged(transport: impl Transport) {
    let bridge = transport.join(bridge("b1")).await;
    let mut gateway = transport.join(gateway("gw-1")).await;
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [all, vec![], vec![0; 3]] {
        bridge.publisher.publish(&topic("gw-1", Channel::Policy), bytes.clone()).await.unwrap();
        assert_eq!(message(&mut gateway).await.bytes, bytes);
    }
}

async fn a_closed_link_takes_nothing(transport: impl Transport) {
    let gateway = transport.join(gateway("gw-1")).await;
    gateway.inbox.close().await;
    let refused = gateway.publisher.publish(&topic("gw-1", Channel::Events), "x").await;
    assert!(matches!(refused, Err(PublishError::Closed | PublishError::Down)), "{refused:?}");
}

async fn two_bridges_both_hear_a_gateway(transport: impl Transport) {
    let mut first = transport.join(bridge("b1")).await;
    let mut second = transport.join(Party::Bridge("b2".into())).await;
    let gateway = transport.join(gateway("gw-1")).await;
    gateway.publisher.publish(&topic("gw-1", Channel::Events), "both").await.unwrap();
    assert_eq!(message(&mut first).await.bytes, "both");
    assert_eq!(message(&mut second).await.bytes, "both");
}
