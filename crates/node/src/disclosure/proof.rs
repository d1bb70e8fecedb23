//! Proofs that a subject's disclosures of a period are all there are, or that there were none.

use super::log::is_visible;
use super::{DisclosureProofQuery, PeriodProof};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::verify::PeriodBundle;
use codec::id::SubjectId;
use codec::time::Millis;
use ledger::batch::Lookup;
use ledger::disclosure::DisclosureProof;
use store::Store;
use vault::PeriodOutlook;

impl<S: Store> Custodian<S> {
    pub(crate) async fn disclosure_proof(
        &self,
        input: DisclosureProofQuery,
    ) -> Result<PeriodProof, Error> {
        let viewer = self.viewer(&input.caller, &input.subject).await?;
        let Some(proof) = self
            .vault
            .period_proof(&input.subject, input.period)
            .await?
        else {
            return self.period_to_come(input.period).await;
        };
        let delays = self.vault.delays(&input.subject).await?;
        let at = self.facts().at();
        let shown = |logged: &vault::LoggedDisclosure| {
            is_visible(&delays, &logged.disclosure.id, viewer, at)
        };
        // A proof tells how many disclosures there were: while one of them is not shown, the period
        // looks as if it were not final yet.
        if !proof.disclosures.iter().all(shown) {
            return Ok(PeriodProof::Pending);
        }
        self.period_proof(proof).await
    }

    /// What to say of a period without a proof: that it will come, or why it will not.
    async fn period_to_come(&self, period: u64) -> Result<PeriodProof, Error> {
        let ledger = Millis::new(self.ledger.tip().time_ms);
        let outlook = self
            .vault
            .period_outlook(period, ledger, self.facts().at())
            .await?;
        let why = match outlook {
            PeriodOutlook::Coming => return Ok(PeriodProof::Pending),
            PeriodOutlook::NotBegun => "that period has not begun",
            PeriodOutlook::BeforeFirst => "it was over before this custodian's first period",
            PeriodOutlook::Lost => {
                "this node was restored from a backup that is older; whoever asked before has the proof"
            }
        };
        Err(Error::PeriodUnknown { period, why })
    }

    /// Every proof of a period with disclosures of the subject that can be had now.
    pub(crate) async fn period_proofs(
        &self,
        subject: &SubjectId,
        periods: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut proofs = Vec::new();
        for period in periods {
            let Some(proof) = self.vault.period_proof(subject, period).await? else {
                continue;
            };
            if let PeriodProof::Ready { bytes, .. } = self.period_proof(proof).await? {
                proofs.push(bytes);
            }
        }
        Ok(proofs)
    }

    async fn period_proof(&self, proof: vault::PeriodProof) -> Result<PeriodProof, Error> {
        let Some(position) = proof.position else {
            return Ok(PeriodProof::Pending);
        };
        let count = match &proof.lookup {
            Lookup::Present((_, value, _)) => u64::from(value.count),
            Lookup::Absent(_) => 0,
        };
        let bundle = PeriodBundle {
            proof: DisclosureProof {
                key: proof.key,
                lookup: proof.lookup,
                logged: self
                    .proved(self.ledger.logged_entry(position.log_index))
                    .await?,
            },
            disclosures: proof.disclosures,
        };
        Ok(PeriodProof::Ready {
            count,
            bytes: codec::to_vec(&bundle),
        })
    }
}
