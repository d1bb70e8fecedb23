//! One phenopacket, de-identified: a walk along the schema that writes what is kept, in camelCase and with the
//! words of enums.

mod duration;
mod tree;

pub(crate) use tree::{Kids, grow};

use crate::amount::{Amount, amount};
use crate::cloak::Cloak;
use crate::date::{Precision, When};
use crate::fates::{Fate, Fates};
use crate::refusal::Refusal;
use crate::rules::Rules;
use crate::sheet::Sheet;
use crate::terminology::years_of;
use codec::time::Date;
use json::{Kind, Limits, Value};
use phenopacket::Parsed;
use tree::{Act, Field};

/// The versions of the schema that are written as they are.
const SCHEMAS: [&str; 5] = ["2", "2.0", "2.0.0", "2.0.1", "2.0.2"];

impl Rules {
    /// What of a phenopacket may leave, as JSON without white space, and counted in `fates`. Arguments as for
    /// [`Rules::resource`]; that the phenopacket is about the subject is for the caller to know.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of it leaves; counted too.
    ///
    /// # Panics
    /// When `fates` were made by other rules.
    pub fn phenopacket(
        &self,
        cloak: &Cloak,
        at: Date,
        source: &[u8],
        fates: &mut Fates,
    ) -> Result<Vec<u8>, Refusal> {
        assert!(fates.fit(&self.digest()), "the fates are of other rules");
        match self.packet(cloak, at, source) {
            Ok(sheet) => {
                fates.release(&sheet.journal);
                Ok(sheet.out.into_bytes())
            }
            Err(refusal) => {
                fates.refuse(&refusal);
                Err(refusal)
            }
        }
    }

    fn packet(&self, cloak: &Cloak, at: Date, source: &[u8]) -> Result<Sheet, Refusal> {
        // Its shape, its version, and that it is about one person.
        Parsed::parse(source).map_err(|error| Refusal::Phenopacket(Box::new(error)))?;
        let document = json::parse(source, &Limits::default())
            .map_err(|error| Refusal::Json(Box::new(error)))?;
        let root = document.root();
        let id = |object: Value<'_, '_>| {
            spelled(object, "id").and_then(|id| Some(id.text()?.into_owned()))
        };
        let samples = spelled(root, "biosamples")
            .into_iter()
            .flat_map(Value::children);
        let mut pass = Pass {
            rules: self,
            cloak,
            at,
            sheet: Sheet::new(source.len()),
            subject: spelled(root, "subject").and_then(id),
            samples: samples.filter_map(id).collect(),
        };
        match pass.message(&self.packets, root) {
            true => Ok(pass.sheet),
            false => Err(Refusal::Meaning {
                path: "Phenopacket".to_owned(),
            }),
        }
    }
}

/// What is done with one phenopacket.
struct Pass<'p> {
    rules: &'p Rules,
    cloak: &'p Cloak,
    at: Date,
    sheet: Sheet,
    /// The id of the subject and those of the biosamples, as they are written.
    subject: Option<String>,
    samples: Vec<String>,
}

impl Pass<'_> {
    /// Writes a message; false when it would be empty, or would mean something else. Recursion is bounded by the
    /// depth of the tree.
    fn message(&mut self, kids: &Kids, object: Value<'_, '_>) -> bool {
        if object.kind() != Kind::Object {
            return false;
        }
        let start = self.sheet.out.len();
        self.sheet.out.push('{');
        for member in object.children() {
            if member.is_null() {
                continue;
            }
            let name = member.key().unwrap_or_default();
            let field = kids
                .fields
                .iter()
                .find(|field| field.definition.is_spelled(&name));
            let Some(field) = field else {
                self.sheet.log(kids.unknown, Fate::Dropped);
                continue;
            };
            if !self.field(field, member) && field.essential {
                return false;
            }
        }
        self.sheet.out.push('}');
        self.sheet.out.len() > start + 2
    }

    /// Writes a field with its name; false where there is nothing to write.
    fn field(&mut self, field: &Field, value: Value<'_, '_>) -> bool {
        if matches!(field.act, Act::Drop) {
            self.sheet.log(field.place, Fate::Dropped);
            return false;
        }
        let mark = self.sheet.mark();
        self.sheet.name(field.definition.name());
        let written = if field.definition.repeats() {
            self.sheet.out.push('[');
            let start = self.sheet.out.len();
            for item in value.children() {
                let before = self.sheet.out.len();
                if before > start {
                    self.sheet.out.push(',');
                }
                if !self.item(field, item) {
                    self.sheet.out.truncate(before);
                }
            }
            self.sheet.out.push(']');
            self.sheet.out.len() > start + 1
        } else {
            self.item(field, value)
        };
        if !written {
            self.sheet.out.truncate(mark.out);
        }
        written
    }

    fn item(&mut self, field: &Field, value: Value<'_, '_>) -> bool {
        let mark = self.sheet.mark();
        let written = match field.act {
            Act::Message => self.message(&field.kids, value),
            Act::Quantity => !self.is_long(value) && self.message(&field.kids, value),
            _ => {
                let fate = self.leaf(field, value);
                if let Some(fate) = fate {
                    self.sheet.log(field.place, fate);
                }
                fate.is_some()
            }
        };
        if !written {
            self.sheet.back(mark);
            self.sheet.log(field.place, Fate::Dropped);
        }
        written
    }

    /// Whether a quantity is a time that is longer than the oldest age that is shown.
    fn is_long(&self, quantity: Value<'_, '_>) -> bool {
        let unit = spelled(quantity, "unit").and_then(|unit| spelled(unit, "id")?.text());
        let years = unit
            .as_deref()
            .and_then(|id| id.strip_prefix("UCUM:"))
            .and_then(years_of);
        let value = spelled(quantity, "value")
            .and_then(|value| value.raw().trim_matches('"').parse::<f64>().ok());
        let years = years.zip(value).map(|(years, value)| years * value);
        years.is_some_and(|years| years >= f64::from(self.rules.pooled_years))
    }

    /// Writes a single value; `None` when it is dropped.
    fn leaf(&mut self, field: &Field, value: Value<'_, '_>) -> Option<Fate> {
        let text = value.text();
        match field.act {
            Act::Flag => {
                let flag = value.boolean()?;
                self.sheet.out.push_str(if flag { "true" } else { "false" });
                Some(Fate::Kept)
            }
            Act::Number => self.number(value),
            Act::Choice(words) => {
                let word = match &text {
                    Some(text) => words.iter().find(|word| ***word == **text),
                    None => words.get(usize::try_from(value.integer()?).ok()?),
                };
                self.sheet.quoted(word?);
                Some(Fate::Kept)
            }
            Act::Age => {
                let (age, fate) = duration::coarse(&text?, self.rules.pooled_years)?;
                self.sheet.quoted(&age);
                Some(fate)
            }
            Act::Timestamp => {
                let when = When::read(text.as_deref()?)
                    .filter(|when| when.precision == Precision::Time)?;
                let moved = self.rules.moved(self.cloak, self.at, &when)?;
                self.sheet.out.push('"');
                moved.push_to(&mut self.sheet.out);
                self.sheet.out.push('"');
                Some(Fate::Shifted)
            }
            Act::Id(kind) => self.pseudonym(self.cloak.id(kind, &text?)),
            Act::Subject => {
                (self.subject.as_deref() == text.as_deref()).then_some(())?;
                self.pseudonym(self.cloak.pseudonym())
            }
            Act::Sample => {
                let text = text?;
                if self.subject.as_deref() == Some(&*text) {
                    return self.pseudonym(self.cloak.pseudonym());
                }
                self.samples
                    .iter()
                    .any(|sample| **sample == *text)
                    .then_some(())?;
                self.pseudonym(self.cloak.id("Biosample", &text))
            }
            Act::Coded => self.kept(text.filter(|text| self.rules.terminologies.has_curie(text))),
            Act::Prefix => self.kept(text.filter(|text| self.rules.terminologies.has_prefix(text))),
            Act::Schema => self.kept(text.filter(|text| SCHEMAS.contains(&&**text))),
            Act::Drop | Act::Message | Act::Quantity => None,
        }
    }

    fn kept(&mut self, text: Option<std::borrow::Cow<'_, str>>) -> Option<Fate> {
        self.sheet.quoted(&text?);
        Some(Fate::Kept)
    }

    fn pseudonym(&mut self, pseudonym: crate::Pseudonym) -> Option<Fate> {
        self.sheet.out.push('"');
        pseudonym.push_to(&mut self.sheet.out);
        self.sheet.out.push('"');
        Some(Fate::Pseudonymised)
    }

    /// A number, or a whole number as a string of digits.
    fn number(&mut self, value: Value<'_, '_>) -> Option<Fate> {
        let whole = value.text().filter(|text| {
            (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        });
        let digits = value.digits().or(whole.as_deref())?;
        match amount(digits, self.rules.digits) {
            Amount::Kept(digits) => {
                // A string of digits may begin with zeros, a number not.
                let zeros = digits.len() > 1 && digits.starts_with('0') && !digits.contains('.');
                (!zeros).then(|| self.sheet.out.push_str(digits))?;
                Some(Fate::Kept)
            }
            Amount::Rounded(digits) => {
                self.sheet.out.push_str(&digits);
                Some(Fate::Banded)
            }
            Amount::Dropped => None,
        }
    }
}

/// The member of an object that spells a field, in either spelling. Those asked for have names of one word.
fn spelled<'d, 'a>(object: Value<'d, 'a>, name: &str) -> Option<Value<'d, 'a>> {
    object.get(name).filter(|value| !value.is_null())
}
