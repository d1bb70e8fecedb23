//! Single values, and what of a person's dates is written otherwise.

use super::Pass;
use crate::amount::{Amount, amount};
use crate::country::is_country;
use crate::date::{Precision, When, years_between};
use crate::fates::Fate;
use crate::refusal::Refusal;
use crate::tree::{Act, Node, PlaceId};
use json::{Kind, Value};
use std::fmt::Write as _;

/// The extension in which a Patient's age band stands, as a Range of years. FHIR's birthDate can hold only a date,
/// and any date in the band would be made up.
const AGE_BAND: &str = "urn:ithaca:fhir:age-band";

impl Pass<'_> {
    /// Writes a primitive; `None` when it is dropped.
    pub(super) fn leaf(
        &mut self,
        place: PlaceId,
        node: &Node,
        value: Value<'_, '_>,
    ) -> Result<Option<Fate>, Refusal> {
        Ok(match node.act {
            Act::Boolean if value.kind() == Kind::Bool => {
                self.sheet.out.push_str(value.raw());
                Some(Fate::Kept)
            }
            Act::Code => {
                let code = value.text();
                let code = code.and_then(|code| node.element?.bound_code(&code));
                code.map(|code| {
                    self.sheet.quoted(code);
                    Fate::Kept
                })
            }
            Act::Number(whole) => self.number(value, whole),
            Act::Shift { times, dates } => {
                let text = value.text();
                let when = text.as_deref().and_then(When::read);
                let fits = |when: &When<'_>| match when.precision {
                    Precision::Time => times,
                    _ => dates,
                };
                let moved = when.filter(fits).and_then(|when| self.moved(&when));
                moved.map(|when| {
                    self.sheet.out.push('"');
                    when.push_to(&mut self.sheet.out);
                    self.sheet.out.push('"');
                    Fate::Shifted
                })
            }
            Act::Id => self.own_id(place, value)?,
            Act::Country => {
                let text = value.text();
                let country = text.filter(|text| is_country(text));
                country.map(|country| {
                    self.sheet.quoted(&country);
                    Fate::Kept
                })
            }
            _ => None,
        })
    }

    fn number(&mut self, value: Value<'_, '_>, whole: bool) -> Option<Fate> {
        let digits = value.digits()?;
        match amount(digits, self.rules.digits) {
            Amount::Kept(digits) if !whole || !digits.contains('.') => {
                self.sheet.out.push_str(digits);
                Some(Fate::Kept)
            }
            Amount::Rounded(digits) if !whole => {
                self.sheet.out.push_str(&digits);
                Some(Fate::Banded)
            }
            _ => None,
        }
    }

    pub(super) fn moved<'t>(&self, when: &When<'t>) -> Option<When<'t>> {
        self.rules.moved(self.cloak, self.at, when)
    }

    fn own_id(&mut self, place: PlaceId, value: Value<'_, '_>) -> Result<Option<Fate>, Refusal> {
        let id = value.text().filter(|id| fhir::is_id(id));
        let pseudonym = match (id, self.resource_type) {
            (None, _) => return Ok(None),
            (Some(id), "Patient") if !self.cloak.is_patient(&id) => {
                return Err(Refusal::NotTheSubject {
                    path: self.path(place),
                });
            }
            (Some(_), "Patient") => self.cloak.pseudonym(),
            (Some(id), name) => self.cloak.id(name, &id),
        };
        self.sheet.out.push('"');
        pseudonym.push_to(&mut self.sheet.out);
        self.sheet.out.push('"');
        Ok(Some(Fate::Pseudonymised))
    }

    /// A date of birth as an age band at the release's date, years and months taken at their earliest.
    pub(super) fn age_band(&mut self, place: PlaceId, value: Value<'_, '_>) -> bool {
        let text = value.text();
        let when = text.as_deref().and_then(When::read);
        let when = when.filter(|when| when.precision != Precision::Time);
        let age =
            when.and_then(|when| u32::try_from(years_between(when.earliest()?, self.at)).ok());
        let Some(age) = age else {
            self.sheet.log(place, Fate::Dropped);
            return false;
        };
        self.sheet.name("extension");
        write!(
            self.sheet.out,
            "[{{\"url\":\"{AGE_BAND}\",\"valueRange\":{{\"low\":"
        )
        .unwrap_or_default();
        let pooled = self.rules.pooled_years;
        if age >= pooled {
            self.years(pooled);
        } else {
            let bands = &self.rules.bands_years;
            let low = bands
                .iter()
                .rfind(|band| **band <= age)
                .copied()
                .unwrap_or(0);
            let next = bands
                .iter()
                .find(|band| **band > age)
                .copied()
                .unwrap_or(pooled);
            self.years(low);
            self.sheet.out.push_str(",\"high\":");
            self.years(next - 1);
        }
        self.sheet.out.push_str("}}]");
        self.sheet.log(place, Fate::Banded);
        true
    }

    fn years(&mut self, years: u32) {
        let unit = "\"unit\":\"a\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"a\"";
        write!(self.sheet.out, "{{\"value\":{years},{unit}}}").unwrap_or_default();
    }

    /// A date of death; where it cannot be moved, that the subject has died.
    pub(super) fn death(&mut self, place: PlaceId, value: Value<'_, '_>) -> bool {
        let text = value.text();
        let moved = text
            .as_deref()
            .and_then(When::read)
            .and_then(|when| self.moved(&when));
        match moved {
            Some(when) => {
                self.sheet.name("deceasedDateTime");
                self.sheet.out.push('"');
                when.push_to(&mut self.sheet.out);
                self.sheet.out.push('"');
                self.sheet.log(place, Fate::Shifted);
            }
            None => {
                self.sheet.name("deceasedBoolean");
                self.sheet.out.push_str("true");
                self.sheet.log(place, Fate::Banded);
            }
        }
        true
    }
}
