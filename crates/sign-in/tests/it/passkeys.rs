//! Passkeys of a device that does as it should, and of some that do not.

use crate::own::{NOW_MS, PASSWORD, Place, URL, asked, by_code, random};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sign_in::own::{
    CHALLENGE_MS, FORM_MS, ManageError, Managed, SignInError, Starting, account, accounts_file,
};

const ORIGIN: &str = URL;
const HOST: &str = "node.example";
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    keys::sha256(&[bytes]).into_bytes()
}

/// A device with one passkey.
struct Device {
    id: [u8; 20],
    pair: EcdsaKeyPair,
    counter: u32,
    /// What it does with each signature.
    flags: u8,
    origin: &'static str,
    host: &'static str,
}

impl Device {
    fn new() -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let mut id = [0; 20];
        random(&mut id);
        Self {
            id,
            pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap(),
            counter: 0,
            flags: PRESENT | VERIFIED,
            origin: ORIGIN,
            host: HOST,
        }
    }

    fn client_data(&self, kind: &str, options: &str) -> Vec<u8> {
        let options: Value = serde_json::from_str(options).unwrap();
        json!({"type": kind, "challenge": options["challenge"], "origin": self.origin})
            .to_string()
            .into_bytes()
    }

    fn head(&self, more: u8) -> Vec<u8> {
        let mut data = sha256(self.host.as_bytes()).to_vec();
        data.push(self.flags | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// `navigator.credentials.create`.
    fn create(&self, options: &str) -> String {
        let mut data = self.head(ATTESTED);
        data.extend([0; 16]);
        data.extend([0, 20]);
        data.extend(self.id);
        // COSE: a P-256 key for ES256; its uncompressed point begins with 4.
        let point = self.pair.public_key().as_ref();
        data.extend([0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": data}.
        let mut object = b"\xA3\x63fmt\x64none\x67attStmt\xA0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        json!({
            "id": base64(&self.id), "rawId": base64(&self.id), "type": "public-key",
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
            "response": {
                "attestationObject": base64(&object), "transports": ["internal"],
                "clientDataJSON": base64(&self.client_data("webauthn.create", options)),
            },
        })
        .to_string()
    }

    /// `navigator.credentials.get`; it counts.
    fn get(&mut self, options: &str) -> String {
        self.counter += 1;
        self.again(options)
    }

    /// The same without counting.
    fn again(&self, options: &str) -> String {
        let data = self.head(0);
        let client = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), &sha256(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": base64(&self.id), "rawId": base64(&self.id), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": base64(&data), "clientDataJSON": base64(&client),
                "signature": base64(signature.as_ref()), "userHandle": null,
            },
        })
        .to_string()
    }
}

fn form(starting: &Starting) -> (&str, &str) {
    (&starting.ticket, &starting.cookie)
}

impl Place {
    fn begun(&self) -> Starting {
        self.issuer
            .begin(&asked("openid user/*.rs", &[]), NOW_MS)
            .unwrap()
    }

    /// Signs in to see the passkeys of an account; with the cookie.
    fn managed(&self, name: &str) -> (Managed, String) {
        let starting = self.issuer.begin_managing(NOW_MS).unwrap();
        let managed = self
            .issuer
            .manage(form(&starting), name, PASSWORD, "a", NOW_MS);
        (managed.unwrap(), starting.cookie)
    }

    fn made(&self, device: &Device, name: &str) -> Result<Managed, ManageError> {
        let (managed, cookie) = self.managed(name);
        let form = (managed.ticket.as_str(), cookie.as_str());
        let options = self.issuer.passkey_offer(form, NOW_MS).unwrap();
        let made = device.create(&options);
        self.issuer.add_passkey(form, "my phone", &made, NOW_MS)
    }

    /// A device that is one of odysseus'.
    fn device(&self) -> Device {
        let device = Device::new();
        self.made(&device, "odysseus").unwrap();
        device
    }

    fn challenge(&self, starting: &Starting, name: &str) -> Result<String, SignInError> {
        self.issuer
            .passkey_challenge(form(starting), name, "a", NOW_MS)
    }

    fn answer(&self, starting: &Starting, answer: &str, now_ms: u64) -> Result<(), SignInError> {
        let done = self
            .issuer
            .sign_in_by_passkey(form(starting), answer, "a", now_ms);
        done.map(drop)
    }

    /// One try with whatever the device says.
    fn tried(&self, says: impl FnOnce(&str) -> String) -> Result<(), SignInError> {
        let starting = self.begun();
        let options = self.challenge(&starting, "odysseus").unwrap();
        self.answer(&starting, &says(&options), NOW_MS)
    }
}

#[test]
fn a_passkey_signs_in_also_after_a_restart() {
    let place = Place::new();
    let mut device = place.device();
    let place = place.restarted();
    for _ in 0..20 {
        let starting = place.begun();
        let options = place.challenge(&starting, "odysseus").unwrap();
        let asked: Value = serde_json::from_str(&options).unwrap();
        assert_eq!(asked["userVerification"], "required");
        assert_eq!(asked["rpId"], HOST);
        let answer = device.get(&options);
        let consenting = place
            .issuer
            .sign_in_by_passkey(form(&starting), &answer, "a", NOW_MS)
            .unwrap();
        let code = place.agreed(&consenting, &starting.cookie);
        assert!(place.ask(&by_code(&code), NOW_MS).is_ok());
    }
    let path = accounts_file(place.folder.path());
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let passkey = &kept["accounts"][0]["passkeys"][0];
    assert_eq!(
        (&passkey["counter"], &passkey["label"]),
        (&json!(20), &json!("my phone"))
    );
    // Nothing but the device can sign: the file holds no private key and no challenge.
    assert!(!kept.to_string().contains("challenge"));
}

/// A synchronised passkey counts nothing, ever.
#[test]
fn what_does_not_count_signs_in() {
    let place = Place::new();
    let device = place.device();
    for _ in 0..3 {
        assert_eq!(place.tried(|options| device.again(options)), Ok(()));
    }
}

#[test]
fn a_challenge_is_good_once_and_not_for_long() {
    let place = Place::new();
    let mut device = place.device();
    let starting = place.begun();
    let options = place.challenge(&starting, "odysseus").unwrap();
    let answer = device.get(&options);
    assert_eq!(place.answer(&starting, &answer, NOW_MS), Ok(()));
    assert_eq!(
        place.answer(&starting, &answer, NOW_MS),
        Err(SignInError::Stale)
    );
    // Nor is it good in another's form, nor with a later challenge.
    let other = place.begun();
    assert_eq!(
        place.answer(&other, &answer, NOW_MS),
        Err(SignInError::Stale)
    );
    place.challenge(&other, "odysseus").unwrap();
    assert_eq!(
        place.answer(&other, &answer, NOW_MS),
        Err(SignInError::Wrong)
    );
    // What was wrong has used it up.
    let options = place.challenge(&other, "odysseus").unwrap();
    assert_eq!(place.answer(&other, "{}", NOW_MS), Err(SignInError::Wrong));
    let answer = device.get(&options);
    assert_eq!(
        place.answer(&other, &answer, NOW_MS),
        Err(SignInError::Stale)
    );
    // Of two challenges for one form the later one.
    let first = place.challenge(&other, "odysseus").unwrap();
    place.challenge(&other, "odysseus").unwrap();
    let answer = device.get(&first);
    assert_eq!(
        place.answer(&other, &answer, NOW_MS),
        Err(SignInError::Wrong)
    );

    let place = place.restarted();
    let late = place.begun();
    let options = place.challenge(&late, "odysseus").unwrap();
    let answer = device.get(&options);
    let over = NOW_MS + CHALLENGE_MS;
    assert!(over < NOW_MS + FORM_MS, "the form is still good");
    assert_eq!(place.answer(&late, &answer, over), Err(SignInError::Stale));
    // Another browser's form.
    let starting = place.begun();
    let stolen = Starting {
        cookie: "other".to_owned(),
        ..place.begun()
    };
    assert_eq!(
        place.challenge(&stolen, "odysseus"),
        Err(SignInError::Stale)
    );
    let options = place.challenge(&starting, "odysseus").unwrap();
    let stolen = Starting {
        ticket: starting.ticket,
        ..stolen
    };
    let answer = device.get(&options);
    assert_eq!(
        place.answer(&stolen, &answer, NOW_MS),
        Err(SignInError::Stale)
    );
}

#[test]
fn what_is_not_right_does_not_sign_in() {
    let place = Place::new();
    let mut device = place.device();
    let good = Device {
        id: device.id,
        ..place.device()
    };
    let refused = Err(SignInError::Wrong);
    // A page elsewhere, a host elsewhere.
    for origin in [
        "https://evil.example",
        "http://node.example",
        "https://node.example:8443",
    ] {
        device.origin = origin;
        assert_eq!(
            place.tried(|options| device.get(options)),
            refused,
            "{origin}"
        );
    }
    device.origin = ORIGIN;
    device.host = "evil.example";
    assert_eq!(place.tried(|options| device.get(options)), refused);
    device.host = HOST;
    let place = place.restarted();
    // It did not look who holds it.
    for flags in [PRESENT, VERIFIED, 0] {
        device.flags = flags;
        assert_eq!(
            place.tried(|options| device.get(options)),
            refused,
            "{flags}"
        );
    }
    device.flags = PRESENT | VERIFIED;
    // Another key under a known id; a device that nobody knows here.
    assert_eq!(place.tried(|options| good.again(options)), refused);
    let mut unknown = Device::new();
    let place = place.restarted();
    assert_eq!(place.tried(|options| unknown.get(options)), refused);
    // The answer to making one.
    assert_eq!(place.tried(|options| device.create(options)), refused);
    let long = "x".repeat(40_000);
    assert_eq!(place.tried(|_| long), refused);
    assert_eq!(place.tried(|options| device.get(options)), Ok(()));
}

#[test]
fn a_counter_that_does_not_go_up_ends_in_a_refusal() {
    let place = Place::new();
    let mut device = place.device();
    assert_eq!(place.tried(|options| device.get(options)), Ok(()));
    assert_eq!(
        place.tried(|options| device.again(options)),
        Err(SignInError::Wrong)
    );
    device.counter = 0;
    assert_eq!(
        place.tried(|options| device.again(options)),
        Err(SignInError::Wrong)
    );
    // Two challenges at once, each from before the other was answered.
    let (one, two) = (place.begun(), place.begun());
    let [first, second] = [&one, &two].map(|form| place.challenge(form, "odysseus").unwrap());
    device.counter = 7;
    let (first, second) = (device.again(&first), device.again(&second));
    assert_eq!(place.answer(&one, &first, NOW_MS), Ok(()));
    assert_eq!(place.answer(&two, &second, NOW_MS), Err(SignInError::Wrong));
    let place = place.restarted();
    assert_eq!(place.tried(|options| device.get(options)), Ok(()));
}

/// Of a name without a passkey as much is told as of one with.
#[test]
fn asking_tells_nothing_of_who_is_here() {
    let place = Place::new();
    place.device();
    let ids = |place: &Place, name: &str| -> Vec<String> {
        let options = place.challenge(&place.begun(), name).unwrap();
        let options: Value = serde_json::from_str(&options).unwrap();
        let fields: Vec<&String> = options.as_object().unwrap().keys().collect();
        let all = [
            "allowCredentials",
            "challenge",
            "rpId",
            "timeout",
            "userVerification",
        ];
        assert_eq!(fields, all);
        let asked = options["allowCredentials"].as_array().unwrap().iter();
        let id = |asked: &Value| {
            assert_eq!(asked.as_object().unwrap().len(), 2, "{asked}");
            assert_eq!(asked["type"], "public-key");
            asked["id"].as_str().unwrap().to_owned()
        };
        asked.map(id).collect()
    };
    let known = ids(&place, "odysseus");
    let (without, nobody) = (ids(&place, "penelope"), ids(&place, "nobody"));
    let place = place.restarted();
    assert_eq!(known, ids(&place, "odysseus"));
    assert_eq!(without, ids(&place, "penelope"));
    assert_eq!(nobody, ids(&place, "nobody"));
    // Most people with passkeys have some, and so most of those who are not here.
    let none = |number: &u32| {
        let name = format!("nobody-{number}");
        let starting = place.begun();
        let options = place
            .issuer
            .passkey_challenge(form(&starting), &name, &name, NOW_MS)
            .unwrap();
        options.contains("\"allowCredentials\":[]")
    };
    let none = (0..40).filter(none).count();
    assert!(none < 20, "{none} of 40");
    // Nobody's device answers.
    let mut device = Device::new();
    let starting = place.begun();
    let options = place.challenge(&starting, "nobody").unwrap();
    let answer = device.get(&options);
    assert_eq!(
        place.answer(&starting, &answer, NOW_MS),
        Err(SignInError::Wrong)
    );
}

#[test]
fn asking_is_bounded() {
    let place = Place::new();
    let mut device = place.device();
    let asked = (0..).map(|_| place.challenge(&place.begun(), "odysseus"));
    let asked: Vec<_> = asked.take(20).take_while(Result::is_ok).collect();
    assert_eq!(asked.len(), 5);
    let later = NOW_MS + 60_000;
    let starting = place.begun();
    let options = place
        .issuer
        .passkey_challenge(form(&starting), "odysseus", "a", later);
    let answer = device.get(&options.unwrap());
    assert_eq!(place.answer(&starting, &answer, later), Ok(()));
}

#[test]
fn passkeys_are_made_and_removed_by_their_owner_alone() {
    let place = Place::new();
    let device = Device::new();
    let made = place.made(&device, "odysseus").unwrap();
    assert_eq!((made.name.as_str(), made.passkeys.len()), ("odysseus", 1));
    assert_eq!(made.passkeys[0].label, "my phone");
    // Once, for one account.
    assert!(matches!(
        place.made(&device, "odysseus"),
        Err(ManageError::Device(_))
    ));
    assert!(matches!(
        place.made(&device, "penelope"),
        Err(ManageError::Device(_))
    ));
    // A page elsewhere, and a device that did not look who holds it.
    let elsewhere = Device {
        origin: "https://evil.example",
        ..Device::new()
    };
    assert!(matches!(
        place.made(&elsewhere, "penelope"),
        Err(ManageError::Device(_))
    ));
    let blind = Device {
        flags: PRESENT,
        ..Device::new()
    };
    assert!(matches!(
        place.made(&blind, "penelope"),
        Err(ManageError::Device(_))
    ));

    // Another's ticket, browser or time; a ticket that was used.
    let (managed, cookie) = place.managed("penelope");
    let id = &made.passkeys[0].id;
    let ticket = managed.ticket.as_str();
    let remove = |form: (&str, &str), now_ms: u64| place.issuer.remove_passkey(form, id, now_ms);
    assert!(matches!(
        remove((ticket, "other"), NOW_MS),
        Err(ManageError::Stale)
    ));
    assert!(
        matches!(remove((ticket, &cookie), NOW_MS), Err(ManageError::Stale)),
        "used"
    );
    let (managed, cookie) = place.managed("penelope");
    let late = remove((&managed.ticket, &cookie), NOW_MS + FORM_MS);
    assert!(matches!(late, Err(ManageError::Stale)));
    let (managed, cookie) = place.managed("penelope");
    assert!(
        remove((&managed.ticket, &cookie), NOW_MS)
            .unwrap()
            .passkeys
            .is_empty()
    );
    let path = accounts_file(place.folder.path());
    assert_eq!(
        account::list(&path).unwrap()[0].passkeys.len(),
        1,
        "of odysseus"
    );
    let starting = place.issuer.begin_managing(NOW_MS).unwrap();
    let wrong = place
        .issuer
        .manage(form(&starting), "odysseus", "wrong", "a", NOW_MS);
    assert_eq!(wrong.map(drop), Err(SignInError::Wrong));
    // A form for signing in opens no passkeys, nor does theirs sign in.
    let signing = place.begun();
    let mixed = place
        .issuer
        .manage(form(&signing), "odysseus", PASSWORD, "a", NOW_MS);
    assert_eq!(mixed.map(drop), Err(SignInError::Stale));
    let mixed = place
        .issuer
        .sign_in(form(&starting), "odysseus", PASSWORD, "a", NOW_MS);
    assert_eq!(mixed.map(drop), Err(SignInError::Stale));

    // By its owner. What was asked of it before does not sign in.
    let mut device = device;
    let starting = place.begun();
    let options = place.challenge(&starting, "odysseus").unwrap();
    let (managed, cookie) = place.managed("odysseus");
    assert!(
        remove((&managed.ticket, &cookie), NOW_MS)
            .unwrap()
            .passkeys
            .is_empty()
    );
    let answer = device.get(&options);
    assert_eq!(
        place.answer(&starting, &answer, NOW_MS),
        Err(SignInError::Wrong)
    );
}

#[test]
fn an_account_has_so_many_passkeys() {
    let place = Place::new();
    for count in 1..=account::MAX_PASSKEYS {
        assert_eq!(
            place
                .made(&Device::new(), "odysseus")
                .unwrap()
                .passkeys
                .len(),
            count
        );
    }
    assert!(matches!(
        place.made(&Device::new(), "odysseus"),
        Err(ManageError::Full(_))
    ));
    assert!(place.made(&Device::new(), "penelope").is_ok());
}
