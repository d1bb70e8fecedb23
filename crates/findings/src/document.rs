//! One document: which format it has, and what is in it.

use crate::case::Format;
use crate::{Error, MAX_BYTES};
use fhir::Resource;
use std::sync::Arc;

/// A document that is to be read.
pub(crate) struct Document<'a> {
    /// Its name, if it is one of several.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) content: Content<'a>,
}

/// What is in a document.
pub(crate) enum Content<'a> {
    Packet(phenopacket::Parsed<'a>),
    /// Those of the kinds that are read, in the order of the source.
    Resources(Vec<Resource<'a>>),
    /// The bytes of a plain list, not checked yet.
    List(&'a [u8]),
    /// One of several that is of no use.
    Unreadable,
}

impl<'a> Document<'a> {
    /// The only document of a case.
    pub(crate) fn only(source: &'a [u8]) -> Result<Self, Error> {
        let content = Content::of(source, phenopacket::Parsed::parse_within)?;
        Ok(Self {
            name: None,
            content,
        })
    }

    /// One of several documents, which may be a projection.
    pub(crate) fn named(name: &str, source: &'a [u8]) -> Self {
        let content = match Content::of(source, phenopacket::Parsed::parse_part_within) {
            Ok(Content::List(_)) | Err(_) => Content::Unreadable,
            Ok(content) => content,
        };
        Self {
            name: Some(name.into()),
            content,
        }
    }

    /// Its FHIR resources.
    pub(crate) fn resources(&self) -> &[Resource<'a>] {
        match &self.content {
            Content::Resources(resources) => resources,
            Content::Packet(_) | Content::List(_) | Content::Unreadable => &[],
        }
    }

    /// The format of a case that is this document alone.
    pub(crate) fn format(&self) -> Format {
        match &self.content {
            Content::Packet(_) => Format::Phenopacket,
            Content::Resources(_) => Format::Fhir,
            Content::List(_) => Format::List,
            Content::Unreadable => Format::Records,
        }
    }
}

type Packet<'a> = Result<phenopacket::Parsed<'a>, phenopacket::Error>;

impl<'a> Content<'a> {
    fn of(
        source: &'a [u8],
        packet: impl Fn(&'a [u8], &json::Limits) -> Packet<'a>,
    ) -> Result<Self, Error> {
        if source.len() > MAX_BYTES {
            return Err(Error::TooLarge { limit: MAX_BYTES });
        }
        match source.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None => return Err(Error::Empty),
            Some(b'{') => {}
            Some(b'[') => return Err(Error::JsonList),
            Some(_) => return Ok(Self::List(source)),
        }
        let limits = json::Limits {
            size_bytes: MAX_BYTES,
            ..json::Limits::default()
        };
        const NAME: &[u8] = b"\"resourceType\"";
        if source.windows(NAME.len()).any(|window| window == NAME) {
            match fhir::resources(source, &limits) {
                // The name stands deeper in the document: it may be a phenopacket after all.
                Err(fhir::Error::NoResourceType(place)) if place.path() == "$" => {}
                Err(error) => return Err(error.into()),
                Ok(mut resources) => {
                    let is_read = |kind| matches!(kind, "Patient" | "Condition" | "Observation");
                    resources.retain(|resource| is_read(resource.parsed.resource_type()));
                    return Ok(Self::Resources(resources));
                }
            }
        }
        Ok(Self::Packet(packet(source, &limits)?))
    }
}
