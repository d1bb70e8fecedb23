//! What a client asks of a service.

use crate::{
    Error, Service, Uuid,
    orders::Orders,
    shape::{self, entries, object, of_kind, optional, required, resource_type, text, uuid, wrong},
};
use findings::MAX_BYTES;
use json::{Kind, Value};
use std::fmt;

const HEAD: &str = r#"{"resourceType":"Bundle","type":"collection","entry":["#;
const TAIL: &str = "]}";

/// One request to one service.
///
/// Extensions and members that are not known are passed over; so are `fhirServer` and
/// `fhirAuthorization`, which are never read.
pub struct Request {
    service: Service,
    hook_instance: Uuid,
    patient_id: String,
    is_for_professional: bool,
    /// Entries of a Bundle, with commas between them.
    resources: String,
    lacks: Option<&'static str>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) orders: Orders,
}

/// A part of the record that did not come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Its key in the prefetch.
    pub(crate) of: &'static str,
    /// Whether a part of it came.
    pub(crate) in_part: bool,
}

impl Request {
    /// Reads the body of `POST /cds-services/{id}`.
    ///
    /// Of the prefetch each value is a FHIR resource, or null (there is none), or an OperationOutcome
    /// (it could not be had, as when the key is missing). The prefetched patient must be the context's.
    ///
    /// # Errors
    /// Not JSON of at most [`findings::MAX_BYTES`], or not what CDS Hooks 2.0 requires for this service's
    /// hook. Never [`Error::PrefetchNeeded`]: that is [`Request::case_document`]'s.
    pub fn parse(bytes: &[u8], service: Service) -> Result<Self, Error> {
        let document = object(bytes, MAX_BYTES, "the request")?;
        let root = document.root();
        if text(root, "hook", "a text")? != service.hook() {
            return Err(Error::OtherHook {
                expected: service.hook(),
                place: required(root, "hook")?.place(),
            });
        }
        let hook_instance = uuid(root, "hookInstance")?;
        let context = required(root, "context")?;
        of_kind(context, Kind::Object, "context", "an object")?;
        let user = User::of(context, service)?;
        let patient_id = patient_id(context)?;
        let orders = match service {
            Service::PatientView => Orders::default(),
            Service::OrderSign => {
                let drafts = required(context, "draftOrders")?;
                if resource_type(drafts, "draftOrders")? != "Bundle" {
                    return Err(wrong(drafts, "draftOrders", "a FHIR Bundle"));
                }
                Orders::of(drafts)?
            }
        };
        let mut request = Self {
            service,
            hook_instance,
            patient_id,
            is_for_professional: user == User::Professional,
            resources: String::new(),
            lacks: None,
            gaps: Vec::new(),
            orders,
        };
        request.prefetch(root)?;
        Ok(request)
    }

    /// The service that is asked.
    #[must_use]
    pub fn service(&self) -> Service {
        self.service
    }

    /// Names this one call of the service.
    #[must_use]
    pub fn hook_instance(&self) -> Uuid {
        self.hook_instance
    }

    /// The FHIR id of the patient, as the client's server has it.
    #[must_use]
    pub fn patient_id(&self) -> &str {
        &self.patient_id
    }

    /// Whether a practitioner asks, as the client says; to anybody else [`crate::cards()`] shows nothing.
    #[must_use]
    pub fn is_for_professional(&self) -> bool {
        self.is_for_professional
    }

    /// The prefetched resources as a FHIR Bundle of type `collection`, for `findings::read`; each
    /// resource as it came.
    ///
    /// # Errors
    /// [`Error::PrefetchNeeded`] if there is no patient, or neither conditions nor observations.
    pub fn case_document(&self) -> Result<Vec<u8>, Error> {
        match self.lacks {
            Some(what) => Err(Error::PrefetchNeeded { what }),
            None => Ok([HEAD, &self.resources, TAIL].concat().into_bytes()),
        }
    }

    fn prefetch(&mut self, root: Value<'_, '_>) -> Result<(), Error> {
        const SHAPE: &str = "an object of FHIR resources";
        let prefetch = optional(root, "prefetch");
        if let Some(prefetch) = prefetch {
            of_kind(prefetch, Kind::Object, "prefetch", SHAPE)?;
            for value in prefetch.children().filter(|value| !value.is_null()) {
                resource_type(value, "the prefetched value")?;
            }
        }
        let brought = |key| prefetch.and_then(|prefetch| prefetch.get(key));
        let has_patient = self.patient(brought("patient"))?;
        let mut has_any = false;
        for key in ["conditions", "observations"] {
            has_any |= self.found(key, brought(key))?;
        }
        self.lacks = match (has_patient, has_any) {
            (false, _) => Some("the patient"),
            (true, false) => Some("the conditions or the observations"),
            (true, true) => None,
        };
        Ok(())
    }

    fn patient(&mut self, value: Option<Value<'_, '_>>) -> Result<bool, Error> {
        let Some(patient) = value.filter(|value| !value.is_null()) else {
            return Ok(false);
        };
        match &*resource_type(patient, "patient")? {
            "OperationOutcome" => return Ok(false),
            "Patient" => {}
            _ => return Err(wrong(patient, "patient", "a Patient")),
        }
        if text(patient, "id", "a text")? != *self.patient_id {
            let place = required(patient, "id")?.place();
            return Err(Error::OtherPatient { place });
        }
        self.add(None, patient);
        Ok(true)
    }

    /// Takes what a search found; whether it was answered.
    fn found(&mut self, key: &'static str, value: Option<Value<'_, '_>>) -> Result<bool, Error> {
        let gap = |in_part| Gap { of: key, in_part };
        let Some(bundle) = value else {
            self.gaps.push(gap(false));
            return Ok(false);
        };
        if bundle.is_null() {
            return Ok(true);
        }
        match &*resource_type(bundle, key)? {
            "OperationOutcome" => {
                self.gaps.push(gap(false));
                return Ok(false);
            }
            "Bundle" => {}
            _ => return Err(wrong(bundle, key, "a Bundle")),
        }
        let links = bundle.get("link").into_iter().flat_map(Value::children);
        let mut relations = links.filter_map(|link| link.get("relation").and_then(Value::text));
        let has_more = relations.any(|relation| relation == "next");
        let total = bundle.get("total").and_then(Value::integer);
        let mut came = 0_i64;
        for entry in entries(bundle)? {
            came += 1;
            let Some(resource) = optional(entry, "resource") else {
                continue;
            };
            // What the server has to say about the search.
            if resource_type(resource, "resource")? != "OperationOutcome" {
                self.add(optional(entry, "fullUrl"), resource);
            }
        }
        if has_more || total.is_some_and(|total| total > came) {
            self.gaps.push(gap(true));
        }
        Ok(true)
    }

    fn add(&mut self, full_url: Option<Value<'_, '_>>, resource: Value<'_, '_>) {
        if !self.resources.is_empty() {
            self.resources.push(',');
        }
        self.resources.push('{');
        if let Some(url) = full_url {
            self.resources.extend(["\"fullUrl\":", url.raw(), ","]);
        }
        self.resources
            .extend(["\"resource\":", resource.raw(), "}"]);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, <redacted>)", self.service.id())
    }
}

/// Who looks at the cards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    Professional,
    Other,
}

impl User {
    fn of(context: Value<'_, '_>, service: Service) -> Result<Self, Error> {
        let shape = match service {
            Service::PatientView => {
                "a reference to a Practitioner, PractitionerRole, Patient or RelatedPerson"
            }
            Service::OrderSign => "a reference to a Practitioner or PractitionerRole",
        };
        let reference = text(context, "userId", shape)?;
        let parts = reference.split_once('/').filter(|(_, id)| fhir::is_id(id));
        match (service, parts.map(|(kind, _)| kind)) {
            (_, Some("Practitioner" | "PractitionerRole")) => Ok(Self::Professional),
            (Service::PatientView, Some("Patient" | "RelatedPerson")) => Ok(Self::Other),
            _ => Err(wrong(required(context, "userId")?, "userId", shape)),
        }
    }
}

fn patient_id(context: Value<'_, '_>) -> Result<String, Error> {
    const SHAPE: &str = "the id of the Patient alone, 1 to 64 letters, digits, '-' or '.'";
    let id = shape::text(context, "patientId", SHAPE)?;
    if !fhir::is_id(&id) {
        return Err(wrong(required(context, "patientId")?, "patientId", SHAPE));
    }
    Ok(id.into_owned())
}
