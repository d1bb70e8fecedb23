//! Official examples of almost every resource type, posted, read back and judged.

use super::{House, fhir, python, said, sources, testdata, unpack};
use std::process::Command;

/// What the script says: what the node refuses, and what R4B has otherwise than R4.
const SAID: &str = "\
refused Bundle-3ad0687e-f477-468c-afd5-fcc2bf897808.json: 422 Bundle the document at line 1, column 1 ($) is a \
    Bundle of several resources; send it as a Bundle
refused Bundle-bundle-request-simplesummary.json: 422 Bundle the document at line 1, column 1 ($) is a \
    Bundle of several resources; send it as a Bundle
refused Consent-consent-example-basic.json: 403 changing consent for a family needs one of the roles desk; this \
    caller has none of them
refused Consent-consent-example-notThem.json: 403 changing consent for a family needs one of the roles desk; this \
    caller has none of them
refused Consent-consent-example-smartonfhir.json: 403 changing consent for a family needs one of the roles desk; \
    this caller has none of them
refused DeviceMetric-example.json: 422 DeviceMetric.parent.reference a resource of this type cannot be named here
refused DeviceUseStatement-example.json: 422 DeviceUseStatement.reasonReference[0].reference a resource of this \
    type cannot be named here
refused EventDefinition-example.json: 422 EventDefinition.text.div a narrative has some text or an image
refused Observation-vp-oyster.json: 422 Observation it names its patient by no reference; refer to the Patient
refused Person-pp.json: 422 Person it refers to somebody who is not here, and may be a patient: refer to a Patient of \
    this server or of the Bundle, or say its type
refused QuestionnaireResponse-3141.json: 422 QuestionnaireResponse it refers to somebody who is not here, and may be \
    a patient: refer to a Patient of this server or of the Bundle, or say its type
refused QuestionnaireResponse-bb.json: 422 QuestionnaireResponse it refers to somebody who is not here, and may be a \
    patient: refer to a Patient of this server or of the Bundle, or say its type
refused ServiceRequest-appendectomy-narrative.json: 422 ServiceRequest it names its patient by no reference; refer to \
    the Patient
refused Subscription-example-error.json: 422 Subscription.status send requested, or off to end it
refused Subscription-example.json: 422 Subscription.channel.endpoint this node takes no subscriptions: its \
    configuration lists no endpoints
refused SupplyDelivery-pumpdelivery.json: 422 SupplyDelivery it names its patient by no reference; refer to the \
    Patient
refused SupplyRequest-simpleorder.json: 422 SupplyRequest it names somebody by an identifier or by words alone, who \
    may be its patient: refer to the Patient, or say its type
R4B EffectEvidenceSynthesis: no such type
R4B Evidence: variableDefinition: Field required
R4B MedicinalProduct: no such type
R4B MedicinalProductAuthorization: no such type
R4B MedicinalProductContraindication: no such type
R4B MedicinalProductIndication: no such type
R4B MedicinalProductIngredient: no such type
R4B MedicinalProductInteraction: no such type
R4B MedicinalProductManufactured: no such type
R4B MedicinalProductPackaged: no such type
R4B MedicinalProductPharmaceutical: no such type
R4B MedicinalProductUndesirableEffect: no such type
R4B RiskEvidenceSynthesis: no such type
R4B SubstanceSpecification: no such type
without: Bundle Consent DeviceMetric DeviceUseStatement EventDefinition Subscription SupplyRequest
examples: 289 of 140 types, 272 read back as they were
served: 1 statement, 15 bundles, 11 outcomes
";

#[test]
fn models_take_what_is_served() {
    let Some(python) = python("models_take_what_is_served") else {
        return;
    };
    let house = House::found();
    let server = house.start();
    let examples = house.folder.path().join("examples");
    unpack(&testdata().join("fhir-r4/examples.tar.zst"), &examples);
    let mut command = Command::new(&python.program);
    command.arg("-B").arg(sources().join("models.py"));
    command.arg(fhir(&server)).arg(examples);
    let said = said(&mut command, &house.token);
    assert_eq!(said, SAID, "{said}");
    server.stop("-TERM");
}
