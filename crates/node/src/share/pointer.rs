//! Pointers: what a family hands to the specialist so that the other institution knows whom to ask.
//!
//! A pointer permits nothing. It names custodian, subject and grant under the custodian's signature.

use super::ShareRefused;
use super::wire::{Claimed, SharePointer, sign};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::Domain;
use codec::id::{GrantId, SubjectId};
use consent::{Purpose, Role};
use store::Store;

/// Asks for a pointer.
#[derive(Debug, Clone)]
pub struct SharePoint {
    /// The desk, a clinician, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The grant that the pointer is for; it must stand.
    pub grant: GrantId,
}

/// Reads a pointer of another institution.
#[derive(Debug, Clone)]
pub struct PointerRead {
    /// A practitioner of this institution.
    pub caller: Caller,
    /// The pointer.
    pub bytes: Vec<u8>,
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn share_point(&self, input: SharePoint) -> Result<Vec<u8>, Error> {
        let roles = [
            Role::Desk,
            Role::Clinician,
            Role::Geneticist,
            Role::Controller,
        ];
        input.caller.needs("making a pointer", &roles)?;
        input.caller.reaches(&input.subject)?;
        self.own_staff(&input.caller)?;
        self.still_controls(&input.caller, &input.subject).await?;
        let standing = self.standing(&input.subject).await?;
        let mut grants = standing.latest().grants.iter();
        if !grants.any(|grant| grant.id == input.grant) {
            return Err(Error::Unknown("grant"));
        }
        self.act_log(
            &input.caller,
            &input.subject,
            Purpose::Patadmin,
            "share-pointer",
        )
        .await?;
        let pointer = SharePointer {
            network: self.network,
            custodian: self.id,
            subject: input.subject,
            grant: input.grant,
            issued: self.facts().at(),
        };
        Ok(sign(
            Domain::SharePointer,
            &self.network,
            &pointer,
            &self.signers().signing,
        ))
    }

    pub(crate) async fn share_pointer_read(
        &self,
        input: PointerRead,
    ) -> Result<SharePointer, Error> {
        self.own_staff(&input.caller)?;
        let claimed = Claimed::<SharePointer>::read(Domain::SharePointer, &input.bytes)?;
        if claimed.message.network != self.network {
            return Err(ShareRefused::Network.into());
        }
        let custodian = claimed.message.custodian;
        self.member(&custodian)?;
        let key = self.member_key(&custodian, &claimed.signer)?;
        Ok(claimed.believed(&self.network, &key)?)
    }
}
