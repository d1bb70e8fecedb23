//! One resource of R4, de-identified: a walk along the tree of rules that writes what is kept.

mod leaf;
mod whole;

use crate::cloak::Cloak;
use crate::fates::{Fate, Fates};
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::sheet::Sheet;
use crate::tree::{Act, Kids, Node, PlaceId, Required};
use codec::time::Date;
use fhir::{Severity, Strictness};
use json::{Kind, Limits, Value};

/// R4's code for data in which identifiers were replaced by pseudonyms.
const PSEUDED: &str = "\"meta\":{\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\
    \"code\":\"PSEUDED\"}]}";

impl Rules {
    /// What of a resource may leave, as JSON without white space, and counted in `fates`.
    ///
    /// `at` is the release's date: ages and what is too long ago are reckoned from it. References to resources of
    /// types that have rules are rewritten, whether or not those resources are released too.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of the resource leaves; counted too.
    ///
    /// # Panics
    /// When `fates` were made by other rules.
    pub fn resource(
        &self,
        cloak: &Cloak,
        at: Date,
        source: &[u8],
        fates: &mut Fates,
    ) -> Result<Vec<u8>, Refusal> {
        self.pass(cloak, at, source, fates, valid)
    }

    /// The same without the last look at whether what was written is valid R4: for whoever validates it anyway.
    /// What goes in valid comes out valid.
    ///
    /// # Errors
    /// [`Refusal`], but never [`Refusal::NotValid`].
    ///
    /// # Panics
    /// When `fates` were made by other rules.
    pub fn resource_unvalidated(
        &self,
        cloak: &Cloak,
        at: Date,
        source: &[u8],
        fates: &mut Fates,
    ) -> Result<Vec<u8>, Refusal> {
        self.pass(cloak, at, source, fates, |_| Ok(()))
    }

    fn pass(
        &self,
        cloak: &Cloak,
        at: Date,
        source: &[u8],
        fates: &mut Fates,
        check: fn(&str) -> Result<(), Refusal>,
    ) -> Result<Vec<u8>, Refusal> {
        assert!(fates.fit(&self.digest()), "the fates are of other rules");
        let mut pass = Pass {
            rules: self,
            cloak,
            at,
            sheet: Sheet::new(source.len()),
            resource_type: "",
        };
        let written = pass.resource(source);
        match written.and_then(|()| check(&pass.sheet.out)) {
            Ok(()) => {
                fates.release(&pass.sheet.journal);
                Ok(pass.sheet.out.into_bytes())
            }
            Err(refusal) => {
                fates.refuse(&refusal);
                Err(refusal)
            }
        }
    }
}

/// What is done with one resource.
struct Pass<'p> {
    rules: &'p Rules,
    cloak: &'p Cloak,
    at: Date,
    sheet: Sheet,
    resource_type: &'static str,
}

/// What of an object was there and what was written, as bits of its elements.
#[derive(Clone, Copy, Default)]
struct Members {
    present: u128,
    written: u128,
}

impl<'p> Pass<'p> {
    fn resource(&mut self, source: &[u8]) -> Result<(), Refusal> {
        let document = json::parse(source, &Limits::default())
            .map_err(|error| Refusal::Json(Box::new(error)))?;
        let root = document.root();
        let name = root.get("resourceType").and_then(Value::text);
        let name = name.ok_or(Refusal::NotAResource)?;
        let Some((name, place)) = self.rules.tree.roots.get_key_value(&*name) else {
            let known = fhir::resource_types().find(|known| **known == *name);
            return Err(known.map_or(Refusal::NotAResource, Refusal::NoRules));
        };
        let node = self.rules.tree.node(*place).ok_or(Refusal::NotAResource)?;
        self.resource_type = name;
        self.sheet.out.push_str("{\"resourceType\":\"");
        self.sheet.out.push_str(name);
        self.sheet.out.push_str("\",");
        self.sheet.out.push_str(PSEUDED);
        let members = self.members(&node.kids, root)?;
        if let Some(place) = lost(&node.kids, members) {
            return Err(Refusal::Meaning {
                path: self.path(place),
            });
        }
        for required in &node.kids.required {
            self.require(required, members)?;
        }
        self.sheet.out.push('}');
        Ok(())
    }

    fn require(&mut self, required: &Required, members: Members) -> Result<(), Refusal> {
        if members.written & required.bits != 0 {
            return Ok(());
        }
        match &required.mask {
            Some(mask) if members.present & required.bits != 0 => {
                self.sheet.out.push(',');
                self.sheet.out.push_str(mask);
                Ok(())
            }
            _ => Err(Refusal::Missing {
                path: self.path(required.place),
            }),
        }
    }

    /// Writes the members of an object that may leave.
    fn members(&mut self, kids: &Kids, object: Value<'_, '_>) -> Result<Members, Refusal> {
        let mut members = Members::default();
        for member in object.children() {
            let name = member.key().unwrap_or_default();
            let Some(kid) = kids.find(&name) else {
                if name != "resourceType" {
                    self.sheet.log(kids.unknown, Fate::Dropped);
                }
                continue;
            };
            members.present |= kid.bit;
            let Some(node) = self.rules.tree.node(kid.place).filter(|_| !kid.beside) else {
                self.sheet.log(kid.place, Fate::Dropped);
                continue;
            };
            if node.act == Act::Drop {
                self.sheet.log(kid.place, Fate::Dropped);
            } else if self.member(kid.place, node, member)? {
                members.written |= kid.bit;
            }
        }
        Ok(members)
    }

    /// Writes a member with its name and gives whether there was something to write.
    fn member(
        &mut self,
        place: PlaceId,
        node: &'p Node,
        value: Value<'_, '_>,
    ) -> Result<bool, Refusal> {
        let mark = self.sheet.mark();
        match node.act {
            Act::AgeBand => return Ok(self.age_band(place, value)),
            Act::Death => return Ok(self.death(place, value)),
            _ => {}
        }
        self.sheet.name(node.name);
        let written = match (node.repeats, value.kind()) {
            (true, Kind::Array) => {
                self.sheet.out.push('[');
                let start = self.sheet.out.len();
                for item in value.children() {
                    let before = self.sheet.mark();
                    if self.sheet.out.len() > start {
                        self.sheet.out.push(',');
                    }
                    if !self.item(place, node, item)? {
                        self.sheet.out.truncate(before.out);
                    }
                }
                self.sheet.out.push(']');
                self.sheet.out.len() > start + 1
            }
            (false, kind) if kind != Kind::Array => self.item(place, node, value)?,
            _ => {
                self.sheet.log(place, Fate::Dropped);
                false
            }
        };
        if !written {
            self.sheet.out.truncate(mark.out);
        }
        Ok(written)
    }

    /// Writes one value, or logs that it is dropped.
    fn item(
        &mut self,
        place: PlaceId,
        node: &'p Node,
        value: Value<'_, '_>,
    ) -> Result<bool, Refusal> {
        let mark = self.sheet.mark();
        let object = value.kind() == Kind::Object;
        let fate = match node.act {
            Act::Object if object => self.object(node, value)?,
            Act::Concept if object => self.concept(node, value)?,
            Act::Coding if object => self.coding(&node.kids, value),
            Act::Quantity if object => self.quantity(&node.kids, value),
            Act::Age if object => self.age(&node.kids, value),
            Act::Period if object => self.period(&node.kids, value),
            Act::Reference if object => self.reference(node, value),
            Act::Subject => {
                let named = object && self.subject(&node.kids, value);
                if !named {
                    return Err(Refusal::NotTheSubject {
                        path: self.path(place),
                    });
                }
                true
            }
            _ if object => false,
            _ => {
                let fate = self.leaf(place, node, value)?;
                if let Some(fate) = fate {
                    self.sheet.log(place, fate);
                }
                fate.is_some()
            }
        };
        if !fate {
            self.sheet.back(mark);
            self.sheet.log(place, Fate::Dropped);
        }
        Ok(fate)
    }

    /// An object member by member; nothing when it would be empty, or would mean something else. Recursion is
    /// bounded by the depth of the tree.
    fn object(&mut self, node: &'p Node, value: Value<'_, '_>) -> Result<bool, Refusal> {
        self.sheet.out.push('{');
        let members = self.members(&node.kids, value)?;
        self.sheet.out.push('}');
        let kids = &node.kids;
        let complete = kids.required.iter().all(|r| members.written & r.bits != 0);
        let needed = kids.needs == 0 || members.written & kids.needs != 0;
        Ok(members.written != 0 && complete && needed && lost(kids, members).is_none())
    }

    /// A CodeableConcept; where a value set is required, one of its codings is kept.
    fn concept(&mut self, node: &'p Node, value: Value<'_, '_>) -> Result<bool, Refusal> {
        if let Some(element) = node.element.filter(|element| element.is_bound()) {
            let codings = value.get("coding").into_iter().flat_map(Value::children);
            let mut codings = codings.filter_map(|coding| {
                let text = |name| coding.get(name).and_then(Value::text);
                Some((text("system")?, text("code")?))
            });
            let bound = |(system, code): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
                element.has_coded(&system, &code) && self.rules.terminologies.has(&system, &code)
            };
            if !codings.any(bound) {
                return Ok(false);
            }
        }
        self.object(node, value)
    }

    /// Logs the member of an object that is judged as a whole.
    fn log_member(&mut self, kids: &Kids, name: &str, fate: Fate) {
        let place = kids.place(name).unwrap_or(kids.unknown);
        self.sheet.log(place, fate);
    }

    /// Logs the members of such an object that are none of these.
    fn log_others(&mut self, kids: &Kids, object: Value<'_, '_>, judged: &[&str]) {
        for member in object.children() {
            let name = member.key().unwrap_or_default();
            if !judged.contains(&&*name) {
                self.log_member(kids, &name, Fate::Dropped);
            }
        }
    }

    fn path(&self, place: PlaceId) -> String {
        let place = self.rules.places.get(place as usize);
        place.map(|place| place.path.clone()).unwrap_or_default()
    }
}

/// Whether what was written is valid R4. It is when what came was, so this refuses what was not.
fn valid(out: &str) -> Result<(), Refusal> {
    let issues = fhir::validate_bytes(out.as_bytes(), &Limits::default(), Strictness::Strict);
    let issues = issues.map_err(|_| Refusal::NotAResource)?;
    let error = issues
        .iter()
        .find(|issue| issue.severity == Severity::Error);
    error.map_or(Ok(()), |error| {
        Err(Refusal::NotValid {
            code: error.code.as_str(),
        })
    })
}

/// An element that was there, is not written, and must not be lost.
fn lost(kids: &Kids, members: Members) -> Option<PlaceId> {
    kids.place_of(members.present & !members.written & kids.essential)
}
