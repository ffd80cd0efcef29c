//! Names of topics: `tapward/1/SITE/GATEWAY/CHANNEL`.
//! `/` separates levels on every broker, and names may contain it, so it is written as `%`, which names may not.

use std::fmt;

use domain::{GatewayId, SiteId};
use thiserror::Error;

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Up: batches of journal entries.
    Events,
    /// Up: state of the gateway, its readers and doors; the last will.
    Status,
    /// Up: requests for policy chunks and results of commands.
    Request,
    /// Down: cumulative acknowledgements.
    Ack,
    /// Down: policy offers and chunks.
    Policy,
    /// Down: commands.
    Command,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 6] = [Self::Events, Self::Status, Self::Request, Self::Ack, Self::Policy, Self::Command];
    /// Those that a gateway writes and the bridge reads.
    pub const UP: [Self; 3] = [Self::Events, Self::Status, Self::Request];
    /// Those that the bridge writes and a gateway reads.
    pub const DOWN: [Self; 3] = [Self::Ack, Self::Policy, Self::Command];

    /// Whether a gateway writes it.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Events | Self::Status | Self::Request)
    }

    /// The last level of the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Status => "status",
            Self::Request => "request",
            Self::Ack => "ack",
            Self::Policy => "policy",
            Self::Command => "command",
        }
    }
}

/// Why a text is not one of our topics.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a topic of this site")]
pub struct TopicError(pub String);

/// One gateway's channel. The site is the link's and the same for all its topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose.
    pub gateway: GatewayId,
    /// Which.
    pub channel: Channel,
}

impl Topic {
    /// One gateway's channel.
    pub const fn new(gateway: GatewayId, channel: Channel) -> Self {
        Self { gateway, channel }
    }

    /// The name on the broker.
    pub fn name(&self, site: &SiteId) -> String {
        format!("tapward/1/{}/{}/{}", level(site), level(&self.gateway), self.channel.as_str())
    }

    /// The filter that takes this channel of every gateway of the site.
    pub fn filter_all(site: &SiteId, channel: Channel) -> String {
        format!("tapward/1/{}/+/{}", level(site), channel.as_str())
    }

    /// Reads a name of this site.
    pub fn parse(site: &SiteId, name: &str) -> Result<Self, TopicError> {
        let wrong = || TopicError(name.chars().take(200).collect());
        let rest = name.strip_prefix("tapward/1/").ok_or_else(wrong)?;
        let mut levels = rest.split('/');
        let (Some(at), Some(gateway), Some(channel), None) =
            (levels.next(), levels.next(), levels.next(), levels.next())
        else {
            return Err(wrong());
        };
        if at != level(site) {
            return Err(wrong());
        }
        let gateway = GatewayId::new(&gateway.replace('%', "/")).map_err(|_| wrong())?;
        let channel = Channel::ALL.into_iter().find(|c| c.as_str() == channel).ok_or_else(wrong)?;
        Ok(Self { gateway, channel })
    }
}

fn level(name: &impl fmt::Display) -> String {
    name.to_string().replace('/', "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_even_with_slashes_and_stay_on_their_level() {
        let site = SiteId::new("clinic/1").unwrap();
        for gateway in ["gw-1", "north/gw", "a/b/events"] {
            for channel in Channel::ALL {
                let topic = Topic::new(GatewayId::new(gateway).unwrap(), channel);
                let name = topic.name(&site);
                assert_eq!(name.split('/').count(), 5, "{name}");
                assert_eq!(Topic::parse(&site, &name), Ok(topic));
            }
        }
    }

    #[test]
    fn other_sites_and_other_names_are_not_ours() {
        let site = SiteId::new("clinic-1").unwrap();
        for name in [
            "",
            "tapward/1/clinic-2/gw/events",
            "tapward/2/clinic-1/gw/events",
            "tapward/1/clinic-1/gw/opened",
            "tapward/1/clinic-1/gw/events/x",
            "tapward/1/clinic-1//events",
        ] {
            assert!(Topic::parse(&site, name).is_err(), "{name}");
        }
    }
}
