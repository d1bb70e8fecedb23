//! What there is to mount, below `/beacon/v2`.

/// How an endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// With a query string.
    Get,
    /// With a `beaconRequestBody`.
    Post,
}

/// What an endpoint answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`info`](crate::response::info).
    Info,
    /// [`service_info`](crate::response::service_info).
    ServiceInfo,
    /// [`configuration`](crate::response::configuration).
    Configuration,
    /// [`map`](crate::response::map).
    Map,
    /// [`entry_types`](crate::response::entry_types).
    EntryTypes,
    /// [`filtering_terms`](crate::response::filtering_terms), by [`parse_page`](crate::parse_page).
    FilteringTerms,
    /// [`answer`](crate::response::answer), by [`parse_get`](crate::parse_get) or
    /// [`parse_post`](crate::parse_post).
    Individuals,
}

impl Kind {
    /// Whether an answer depends on who is in the data, and so costs privacy, needs a researcher and
    /// a study, and is logged. The others say what anybody may know.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Individuals)
    }

    /// The schema of its answers, by its file in the specification; of [`Kind::Individuals`], the
    /// one of an answer with a count.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Info => "beaconInfoResponse.json",
            Self::ServiceInfo => "ga4gh-service-info-1-0-0-schema.json",
            Self::Configuration => "beaconConfigurationResponse.json",
            Self::Map => "beaconMapResponse.json",
            Self::EntryTypes => "beaconEntryTypesResponse.json",
            Self::FilteringTerms => "beaconFilteringTermsResponse.json",
            Self::Individuals => "beaconCountResponse.json",
        }
    }
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is asked.
    pub method: Method,
    /// Where, below `/beacon/v2`.
    pub path: &'static str,
    /// What it answers with.
    pub kind: Kind,
    /// One sentence, for an OpenAPI document.
    pub summary: &'static str,
}

/// All endpoints.
pub const ENDPOINTS: [Endpoint; 9] = [
    get("/", Kind::Info, "What this beacon is, and who runs it."),
    get("/info", Kind::Info, "What this beacon is, and who runs it."),
    get(
        "/service-info",
        Kind::ServiceInfo,
        "The same in GA4GH's form for services.",
    ),
    get(
        "/configuration",
        Kind::Configuration,
        "What it serves, how ripe it is, and to whom.",
    ),
    get("/map", Kind::Map, "Where its entry types are."),
    get(
        "/entry_types",
        Kind::EntryTypes,
        "What it serves: individuals.",
    ),
    get(
        "/filtering_terms",
        Kind::FilteringTerms,
        "By what can be asked, page by page.",
    ),
    get(
        "/individuals",
        Kind::Individuals,
        "About how many individuals meet all filters.",
    ),
    Endpoint {
        method: Method::Post,
        path: "/individuals",
        kind: Kind::Individuals,
        summary: "About how many individuals meet all filters of a document.",
    },
];

const fn get(path: &'static str, kind: Kind, summary: &'static str) -> Endpoint {
    Endpoint {
        method: Method::Get,
        path,
        kind,
        summary,
    }
}
