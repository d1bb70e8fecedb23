//! `[research]` of `node.toml`: what counts cost and may cost, what attacks on a release may achieve; and the noise.

use crate::config::within;
use anyhow::{Context, Result, bail};
use extract::Limits;
use node::research::{Noise, Research as Settings};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::sync::Arc;

/// The section. What is left out is as built in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Research {
    /// Prices, budgets and display of counts.
    pub(crate) discovery: discovery::Policy,
    /// What attacks on a release may achieve; a study may ask for less.
    #[serde(deserialize_with = "limits")]
    pub(crate) limits: Limits,
}

/// Limits of which some may be left out.
fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Limits, D::Error> {
    let given = toml::Table::deserialize(from)?;
    let mut all = toml::Table::try_from(Limits::default()).map_err(D::Error::custom)?;
    all.extend(given);
    all.try_into()
        .map_err(|why: toml::de::Error| D::Error::custom(why.message()))
}

impl Research {
    /// Whether it can be kept.
    pub(crate) fn check(&self) -> Result<()> {
        let policy = &self.discovery;
        let cost = policy.cost;
        // The library's own privacy map says what one answer loses.
        let loss = noise::loss(cost.micro()).context("research.discovery.cost is of no use")?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "millionths, at most ten million of them"
        )]
        let asked = cost.micro() as f64 / 1e6;
        if loss > asked {
            bail!("a count for research.discovery.cost = \"{cost}\" would lose {loss}");
        }
        for (whose, budget) in [
            ("researcher", policy.researcher),
            ("study", policy.study),
            ("subject", policy.subject),
        ] {
            if budget.epsilon < cost {
                bail!(
                    "research.discovery.{whose} has {}, less than one answer costs ({cost}): nobody would ever be counted",
                    budget.epsilon
                );
            }
        }
        within(
            "research.discovery.display.floor",
            policy.display.floor,
            1,
            1 << 20,
        )?;
        within(
            "research.discovery.display.step",
            policy.display.step,
            1,
            1 << 20,
        )?;
        let limits = &self.limits;
        for (name, share) in [
            ("linkage_three_terms", limits.linkage_three_terms),
            ("unique_and_correct", limits.unique_and_correct),
            ("singling_out", limits.singling_out),
            ("membership", limits.membership),
            ("differencing", limits.differencing),
            ("alone", limits.alone),
            ("disclosure", limits.disclosure),
        ] {
            if !(0.0..=1.0).contains(&share) {
                bail!("research.limits.{name} is {share}; it takes a share, 0 to 1");
            }
        }
        Ok(())
    }

    /// What a node needs: the same, and noise.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            noise: Some(Arc::new(DiscreteLaplace)),
            discovery: self.discovery,
            limits: self.limits,
        }
    }
}

/// Noise by OpenDP, with the machine's entropy.
struct DiscreteLaplace;

impl Noise for DiscreteLaplace {
    fn count(&self, count: u64, epsilon_micro: u64) -> Result<i64, String> {
        noise::noisy_count(count, epsilon_micro).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_left_out_is_as_built_in() {
        let text = "[research.limits]\nlinkage_three_terms = 0.02\n\
                    [research.discovery]\ncost = \"0.25\"\n[research.discovery.subject]\nepsilon = \"3\"\ndays = 30\n";
        let read = Config::parse(text).unwrap().research;
        assert_eq!(read.limits.linkage_three_terms, 0.02);
        assert_eq!(read.limits.membership, Limits::default().membership);
        assert_eq!(read.discovery.cost.micro(), 250_000);
        assert_eq!(read.discovery.subject.epsilon.micro(), 3_000_000);
        assert_eq!(read.discovery.study, discovery::Policy::default().study);
    }

    #[test]
    fn what_protects_nobody_is_refused() {
        let refused = |text: &str, word: &str| {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        };
        refused(
            "[research.discovery]\ncost = \"0\"",
            "research.discovery.cost",
        );
        refused(
            "[research.discovery]\ncost = \"11\"",
            "research.discovery.cost",
        );
        refused(
            "[research.discovery.subject]\nepsilon = \"0.4\"",
            "nobody would ever be counted",
        );
        refused(
            "[research.discovery.display]\nfloor = 0\nstep = 1",
            "display.floor",
        );
        refused("[research.limits]\nalone = 1.5", "a share, 0 to 1");
        refused("[research.limits]\nalone = nan", "a share, 0 to 1");
        refused("[research.limits]\nlinkage = 0.1", "unknown field");
        refused("[research]\nnoise = false", "unknown field");
    }
}
