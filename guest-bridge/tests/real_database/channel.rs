//! What a replica tells of its source, on any product.

use guest_bridge::database::server::{Channel, Replicates};

use super::server::PrivateServer;

/// The only channel: it is called `east`, comes from `source`, and has applied something of it.
pub fn the_channel_east<'r>(replicates: &'r Replicates, source: &PrivateServer) -> &'r Channel {
    let [channel] = &replicates.channels[..] else { panic!("{replicates:?}") };
    assert_eq!((channel.name.as_str(), &channel.source), ("east", &format!("127.0.0.1:{}", source.port)));
    assert_eq!(channel.source_log_file.as_deref(), Some("binlog.000001"));
    assert!(channel.source_log_position.unwrap() > 4);
    channel
}
