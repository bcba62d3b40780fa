//! Every call there is, and the router made from that list.
//!
//! R1  docs/openapi.json lists exactly the calls of these tables.
//! R2  Every call of Scale is there under `/v6` and `/v7`, with the same handler.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};

use super::errors::{Problem, ScaleError};
use super::state::ApiState;
use super::{health, metrics, scale, v1};

/// Versions of Scale's interface; they behave alike.
const SCALE_VERSIONS: [&str; 2] = ["/v6", "/v7"];

/// One call.
struct Endpoint {
    method: Method,
    path: &'static str,
    /// For people; also in docs/openapi.json.
    #[cfg_attr(not(test), expect(dead_code, reason = "compared with the document by a test"))]
    summary: &'static str,
    route: fn() -> MethodRouter<ApiState>,
}

const fn reads(path: &'static str, summary: &'static str, route: fn() -> MethodRouter<ApiState>) -> Endpoint {
    Endpoint { method: Method::GET, path, summary, route }
}

const fn posts(path: &'static str, summary: &'static str, route: fn() -> MethodRouter<ApiState>) -> Endpoint {
    Endpoint { method: Method::POST, path, summary, route }
}

const fn puts(path: &'static str, summary: &'static str, route: fn() -> MethodRouter<ApiState>) -> Endpoint {
    Endpoint { method: Method::PUT, path, summary, route }
}

const fn deletes(
    path: &'static str,
    summary: &'static str,
    route: fn() -> MethodRouter<ApiState>,
) -> Endpoint {
    Endpoint { method: Method::DELETE, path, summary, route }
}

const fn patches(
    path: &'static str,
    summary: &'static str,
    route: fn() -> MethodRouter<ApiState>,
) -> Endpoint {
    Endpoint { method: Method::PATCH, path, summary, route }
}

/// Calls of Scale, without the version in front.
#[rustfmt::skip]
const SCALE: &[Endpoint] = &[
    reads("/queue/status/", "What is queued, by job type", || get(scale::queue::status)),
    reads("/load/", "Pending, queued and running jobs over time", || get(scale::load::list)),
    reads("/jobs/", "Jobs by filters and order", || get(scale::jobs::list)),
    posts("/jobs/", "Queue a job", || post(scale::jobs::create)),
    reads("/jobs/{id}/", "A job in detail", || get(scale::jobs::detail)),
    reads("/job-types/", "Job types by filters", || get(scale::job_types::list)),
    posts("/job-types/", "Make a job type, or change one", || post(scale::job_types::create)),
    reads("/job-types/{name}/{version}/", "A job type in detail", || get(scale::job_types::detail)),
    patches("/job-types/{name}/{version}/", "Change a job type", || patch(scale::job_types::change)),
    reads("/jobs/{id}/executions/", "The executions of a job", || get(scale::executions::list)),
    reads("/jobs/{id}/executions/{exe_num}/", "An execution of a job in detail", || get(scale::executions::detail)),
    posts("/jobs/requeue/", "Queue many jobs again", || post(scale::bulk::requeue)),
    posts("/jobs/cancel/", "Cancel many jobs", || post(scale::bulk::cancel)),
    reads("/recipes/", "Recipes by filters and order", || get(scale::recipes::list)),
    posts("/recipes/", "Make a recipe", || post(scale::recipes::create)),
    reads("/recipes/{id}/", "A recipe in detail", || get(scale::recipes::detail)),
    posts("/recipes/{id}/reprocess/", "Make a recipe anew", || post(scale::recipes::reprocess)),
    reads("/batches/", "Batches by filters and order", || get(scale::batches::list)),
    posts("/batches/", "Make a batch of recipes", || post(scale::batches::create)),
    reads("/batches/{id}/", "A batch in detail", || get(scale::batches::detail)),
    patches("/batches/{id}/", "Change a batch", || patch(scale::batches::edit)),
    reads("/job-type-names/", "The newest version of each job type", || get(scale::job_type_versions::names)),
    posts("/job-types/validation/", "What would be said of a manifest", || post(scale::job_type_versions::validate)),
    reads("/job-types/{name}/", "Versions of a job type", || get(scale::job_type_versions::versions)),
    reads("/job-types/{name}/{version}/revisions/", "Revisions of a job type", || get(scale::job_type_versions::revisions)),
    reads("/job-types/{name}/{version}/revisions/{revision}/", "A revision of a job type", || get(scale::job_type_versions::revision)),
    reads("/workspaces/", "Workspaces by filters and order", || get(scale::workspaces::list)),
    posts("/workspaces/", "Make a workspace", || post(scale::workspaces::create)),
    posts("/workspaces/validation/", "What would be said of a workspace", || post(scale::workspaces::validate)),
    reads("/workspaces/{id}/", "A workspace", || get(scale::workspaces::detail)),
    patches("/workspaces/{id}/", "Change a workspace", || patch(scale::workspaces::change)),
    reads("/errors/", "Kinds of errors by filters and order", || get(scale::errors::list)),
    reads("/errors/{id}/", "A kind of error", || get(scale::errors::detail)),
    reads("/job-types/pending/", "Jobs that wait for their inputs, by type", || get(scale::job_counts::pending)),
    reads("/job-types/running/", "Jobs that run, by type", || get(scale::job_counts::running)),
    reads("/job-types/status/", "Jobs that changed lately, by type and status", || get(scale::job_counts::status)),
    reads("/job-types/system-failures/", "Jobs that failed by no fault of their own, by type and error", || get(scale::job_counts::system_failures)),
    reads("/nodes/", "Nodes by filters and order", || get(scale::nodes::list)),
    reads("/nodes/{id}/", "A node", || get(scale::nodes::detail)),
    patches("/nodes/{id}/", "Pause a node, or take it out of use", || patch(scale::nodes::change)),
    reads("/scheduler/", "How the scheduler is set", || get(scale::scheduler::detail)),
    patches("/scheduler/", "Set the scheduler", || patch(scale::scheduler::change)),
    reads("/scheduler/queued-resources/", "What is asked for by what is pending, waits and runs", || get(scale::scheduler::queued_resources)),
    reads("/status/", "What the scheduler says of itself", || get(scale::scheduler::status_now)),
    reads("/recipe-types/", "Recipe types by filters", || get(scale::recipe_types::list)),
    posts("/recipe-types/", "Make a recipe type", || post(scale::recipe_types::create)),
    posts("/recipe-types/validation/", "What would be said of a definition", || post(scale::recipe_types::validate)),
    reads("/recipe-types/{name}/", "A recipe type in detail", || get(scale::recipe_types::detail)),
    patches("/recipe-types/{name}/", "Change a recipe type", || patch(scale::recipe_types::change)),
    reads("/recipe-types/{name}/revisions/", "Revisions of a recipe type", || get(scale::recipe_types::revisions)),
    reads("/recipe-types/{name}/revisions/{revision}/", "A revision of a recipe type", || get(scale::recipe_types::revision)),
    reads("/version/", "The version of Scale whose interface is spoken", || get(health::scale_version)),
];

/// Our own calls.
#[rustfmt::skip]
const OWN: &[Endpoint] = &[
    reads("/api/v1/status", "The whole at a glance", || get(v1::status::status)),
    reads("/api/v1/policy", "How passes choose", || get(v1::status::policy)),
    reads("/api/v1/waiting", "Why the first entry of each job type waits", || get(v1::status::waiting)),
    reads("/api/v1/queue", "The first entries of the queue, in order", || get(v1::queue::list)),
    puts("/api/v1/queue/mode", "Oldest or youngest first", || put(v1::queue::set_mode)),
    reads("/api/v1/job-types", "All job types", || get(v1::job_types::list)),
    posts("/api/v1/job-types", "Make a job type, or change it", || post(v1::job_types::put)),
    reads("/api/v1/job-types/{job_type}", "A job type", || get(v1::job_types::detail)),
    posts("/api/v1/job-types/{job_type}/pause", "Hold a job type back", || post(v1::job_types::pause)),
    posts("/api/v1/job-types/{job_type}/resume", "Let a job type go on", || post(v1::job_types::resume)),
    puts("/api/v1/job-types/{job_type}/limit", "How many of a job type run at once", || put(v1::job_types::limit)),
    reads("/api/v1/jobs", "Jobs by filters and order", || get(v1::jobs::list)),
    posts("/api/v1/jobs", "Queue jobs of types that are there, all or none", || post(v1::new_jobs::create)),
    reads("/api/v1/jobs/{id}", "A job", || get(v1::jobs::detail)),
    reads("/api/v1/jobs/{id}/explain", "Why a job waits", || get(v1::jobs::explain)),
    reads("/api/v1/jobs/{id}/logs/{stream}", "What an execution of a job prints, a piece at a time", || get(v1::logs::read)),
    reads("/api/v1/nodes/{id}/explain", "What may run on a node, and why the rest may not", || get(v1::nodes::explain)),
    posts("/api/v1/jobs/cancel", "End jobs, wherever they stand", || post(v1::jobs::cancel)),
    posts("/api/v1/jobs/priority", "Give jobs another priority", || post(v1::jobs::set_priority)),
    posts("/api/v1/jobs/release", "Let queued jobs of a paused type go on", || post(v1::jobs::release)),
    posts("/api/v1/jobs/requeue", "Queue jobs again", || post(v1::jobs::requeue)),
    posts("/api/v1/bulk/requeue", "Queue all jobs of a filter again, some at a time", || post(v1::bulk::requeue)),
    posts("/api/v1/bulk/cancel", "End all jobs of a filter, some at a time", || post(v1::bulk::cancel)),
    reads("/api/v1/bulk", "Bulk operations", || get(v1::bulk::list)),
    reads("/api/v1/bulk/{id}", "How far a bulk operation is", || get(v1::bulk::detail)),
    posts("/api/v1/bulk/{id}/stop", "End a bulk operation where it is", || post(v1::bulk::stop)),
    posts("/api/v1/bulk/{id}/undo", "Take a bulk operation back", || post(v1::bulk::undo)),
    posts("/api/v1/messages", "Carry messages out", || post(v1::messages::take)),
    reads("/api/v1/dead-letters", "Messages that could not be carried out", || get(v1::messages::list)),
    posts("/api/v1/dead-letters/{number}/retry", "Take a dead letter again", || post(v1::messages::retry)),
    deletes("/api/v1/dead-letters/{number}", "Drop a dead letter", || delete(v1::messages::discard)),
    reads("/api/v1/journal", "What was decided lately, and what keeps the rest", || get(v1::journal::list)),
    reads("/api/v1/load", "Load rows, as measured", || get(v1::load::list)),
    reads("/api/v1/load/series", "Load over time, drawn together", || get(v1::load::series)),
    posts("/api/v1/submissions", "Queue jobs and recipes, all or none", || post(v1::submissions::create)),
    posts("/api/v1/datasets", "Put a data set on record", || post(v1::datasets::add)),
    reads("/api/v1/datasets", "Data sets by id", || get(v1::datasets::list)),
    reads("/api/v1/datasets/{id}", "A data set", || get(v1::datasets::detail)),
    posts("/api/v1/files", "Put a file on record", || post(v1::files::add)),
    reads("/api/v1/files", "Files by id", || get(v1::files::list)),
    reads("/api/v1/files/{id}", "A file", || get(v1::files::detail)),
    reads("/metrics", "Metrics in OpenMetrics text", || get(metrics::scrape)),
    reads("/livez", "Whether the core moves", || get(health::live)),
    reads("/readyz", "Whether requests can be answered", || get(health::ready)),
    reads("/healthz", "The same as /readyz", || get(health::ready)),
    reads("/version", "Version and build", || get(health::version)),
];

/// Calls by path, with the methods each path takes.
fn by_path(endpoints: &[Endpoint]) -> BTreeMap<&'static str, (MethodRouter<ApiState>, String)> {
    let mut paths: BTreeMap<&'static str, (MethodRouter<ApiState>, Vec<&str>)> = BTreeMap::new();
    for endpoint in endpoints {
        let (router, methods) = paths.entry(endpoint.path).or_default();
        *router = std::mem::take(router).merge((endpoint.route)());
        methods.push(endpoint.method.as_str());
    }
    let finish = |(path, (router, methods)): (_, (_, Vec<&str>))| {
        let heads: &[&str] = if methods.contains(&"GET") { &["HEAD", "OPTIONS"] } else { &["OPTIONS"] };
        (path, (router, [methods.as_slice(), heads].concat().join(", ")))
    };
    paths.into_iter().map(finish).collect()
}

/// All calls, over `state`.
pub(super) fn router(state: ApiState) -> Router {
    let mut router = Router::new();
    for (path, (calls, allow)) in by_path(SCALE) {
        for version in SCALE_VERSIONS {
            let (full, allow) = (format!("{version}{path}"), allow.clone());
            let bare = full.trim_end_matches('/').to_owned();
            let calls = calls.clone().fallback(|method| async move { scale_method(method, &allow) });
            router = router.route(&full, calls).route(&bare, any(add_slash));
        }
    }
    for (path, (calls, allow)) in by_path(OWN) {
        let calls = calls.fallback(|method| async move { own_method(method, &allow) });
        router = router.route(path, calls);
    }
    router.fallback(not_found).with_state(state)
}

fn allowing(allow: &str, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let allow = HeaderValue::from_str(allow).expect("names of methods");
    response.headers_mut().insert(ALLOW, allow);
    response
}

fn scale_method(method: Method, allow: &str) -> Response {
    if method == Method::OPTIONS {
        return allowing(allow, StatusCode::NO_CONTENT);
    }
    allowing(allow, ScaleError::Method(method))
}

#[expect(clippy::needless_pass_by_value, reason = "as the handler gets it")]
fn own_method(method: Method, allow: &str) -> Response {
    if method == Method::OPTIONS {
        return allowing(allow, StatusCode::NO_CONTENT);
    }
    allowing(allow, Problem::method(&method, allow))
}

/// Sends the caller to the same address with a slash at its end.
async fn add_slash(uri: Uri, RawQuery(query): RawQuery) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{}/{query}", uri.path()));
    let location = location.expect("an address has only characters that a header may have");
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location), (CONTENT_TYPE, kind)]).into_response()
}

/// True for a path that is text once its escapes are read.
pub(super) fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        if let Some(byte) = digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

pub(super) async fn not_found(uri: Uri) -> Response {
    let is_scale = SCALE_VERSIONS.iter().any(|version| {
        uri.path().strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_scale {
        ScaleError::NotFound.into_response()
    } else {
        Problem::not_found(uri.path()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Options};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use serde_json::Value;

    fn document() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let text = std::fs::read_to_string(path).expect("docs/openapi.json is there");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// Method, path and summary of every call the document lists.
    fn listed(document: &Value) -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let item = match item.get("$ref") {
                Some(pointer) => {
                    let pointer = pointer.as_str().and_then(|p| p.strip_prefix('#')).expect("a pointer");
                    document.pointer(pointer).expect(pointer)
                }
                None => item,
            };
            for (method, call) in item.as_object().expect("calls") {
                if method != "parameters" {
                    let summary = call["summary"].as_str().unwrap_or_default();
                    all.push((method.to_uppercase(), path.clone(), summary.to_owned()));
                }
            }
        }
        all.sort();
        all
    }

    #[test]
    fn the_document_lists_exactly_the_calls_there_are() {
        let call = |prefix: &str, endpoint: &Endpoint| {
            let path = format!("{prefix}{}", endpoint.path);
            (endpoint.method.to_string(), path, endpoint.summary.to_owned())
        };
        let scale = SCALE_VERSIONS.iter().flat_map(|v| SCALE.iter().map(move |e| call(v, e)));
        let mut all: Vec<_> = scale.chain(OWN.iter().map(|e| call("", e))).collect();
        all.sort();
        assert_eq!(listed(&document()), all);
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn walk(document: &Value, value: &Value, found: &mut usize) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(pointer)) = members.get("$ref") {
                        let inner = pointer.strip_prefix('#').expect("inside the document");
                        assert!(document.pointer(inner).is_some(), "{pointer} leads nowhere");
                        *found += 1;
                    }
                    members.values().for_each(|value| walk(document, value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| walk(document, value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = 0;
        walk(&document, &document, &mut found);
        assert!(found > SCALE.len(), "{found} references");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
    /// What one request is answered with: status, body, and the headers named.
    struct Said {
        status: u16,
        body: String,
        allow: String,
        location: String,
    }

    struct Asking {
        runtime: tokio::runtime::Runtime,
        service: TowerToHyperService<Router>,
    }

    impl Asking {
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let engine = Engine::in_memory(Options::default());
            let service = TowerToHyperService::new(router(ApiState::new(engine)));
            Self { runtime: runtime.expect("a runtime"), service }
        }

        fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> Said {
            let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
            let request = request.body(Body::from(body.to_owned())).expect("a request");
            self.runtime.block_on(async {
                let response = self.service.call(request).await.expect("infallible");
                let text =
                    |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
                let [allow, location] =
                    [ALLOW, LOCATION].map(|name| text(name).unwrap_or_default().to_owned());
                let status = response.status().as_u16();
                let bytes = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
                Said { status, body: String::from_utf8_lossy(&bytes).into_owned(), allow, location }
            })
        }
    }

    /// Addresses of every call of Scale, and the methods each takes.
    fn addresses() -> BTreeMap<String, Vec<&'static Endpoint>> {
        let mut all: BTreeMap<String, Vec<&Endpoint>> = BTreeMap::new();
        for version in SCALE_VERSIONS {
            for endpoint in SCALE {
                let path =
                    endpoint.path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
                let path = path.collect::<Vec<_>>().join("/");
                all.entry(format!("{version}{path}")).or_default().push(endpoint);
            }
        }
        all
    }

    #[test]
    fn methods_that_an_address_does_not_take_are_refused() {
        let asking = Asking::new();
        for (path, endpoints) in addresses() {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                if endpoints.iter().any(|endpoint| endpoint.method == method) {
                    continue;
                }
                let said = asking.ask(method, &path, "application/json", "{}");
                let detail = format!("{{\"detail\":\"Method \\\"{method}\\\" not allowed.\"}}");
                assert_eq!((said.status, said.body), (405, detail), "{method} {path}");
                let known: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
                assert!(said.allow.starts_with(&known.join(", ")), "{path}: {}", said.allow);
                assert!(said.allow.ends_with("OPTIONS"), "{path}: {}", said.allow);
            }
        }
    }

    #[test]
    fn an_address_without_its_slash_leads_to_the_one_with_it() {
        let asking = Asking::new();
        for path in addresses().keys() {
            let bare = path.trim_end_matches('/');
            let said = asking.ask("GET", bare, "", "");
            assert_eq!((said.status, &said.location), (301, path));
            let said = asking.ask("POST", &format!("{bare}?b=1&a=%20x"), "", "");
            assert_eq!((said.status, said.location), (301, format!("{path}?b=1&a=%20x")));
        }
        let said = asking.ask("GET", "/v6/nothing", "", "");
        assert_eq!((said.status, said.body.as_str()), (404, "{\"detail\":\"Not found.\"}"));
        assert_eq!(asking.ask("GET", "/v8/jobs/", "", "").status, 404);
    }

    #[test]
    fn bodies_that_are_no_json_are_refused_by_every_call_that_takes_one() {
        let asking = Asking::new();
        let mut n_writes = 0;
        for (path, endpoints) in addresses() {
            for endpoint in endpoints.iter().filter(|endpoint| endpoint.method != Method::GET) {
                let method = endpoint.method.as_str();
                let said = asking.ask(method, &path, "text/plain", "x");
                let detail = "{\"detail\":\"Unsupported media type \\\"text/plain\\\" in request.\"}";
                assert_eq!((said.status, said.body.as_str()), (415, detail), "{method} {path}");
                let said = asking.ask(method, &path, "application/json", "{");
                assert_eq!(said.status, 400, "{method} {path}");
                assert!(said.body.starts_with("{\"detail\":\"JSON parse error - "), "{path}: {}", said.body);
                for other in ["null", "3", "[]", "\"x\""] {
                    let said = asking.ask(method, &path, "application/json", other);
                    assert_eq!(said.status, 400, "{method} {path} {other}: {}", said.body);
                }
                n_writes += 1;
            }
        }
        assert!(n_writes > 0);
    }

    #[test]
    fn pages_that_are_not_there_are_refused_by_every_list() {
        let asking = Asking::new();
        let mut n_lists = 0;
        for (path, endpoints) in addresses() {
            let has_pages = asking.ask("GET", &path, "", "").body.starts_with("{\"count\":");
            if !has_pages || !endpoints.iter().any(|endpoint| endpoint.method == Method::GET) {
                continue;
            }
            for page in ["", "0", "2", "-1", "abc"] {
                let said = asking.ask("GET", &format!("{path}?page={page}"), "", "");
                let expected = (404, "{\"detail\":\"Invalid page.\"}");
                assert_eq!((said.status, said.body.as_str()), expected, "{path} {page}");
            }
            for fine in ["page=last", "page=1", "page_size=0", "page_size=x", "foo=bar"] {
                assert_eq!(asking.ask("GET", &format!("{path}?{fine}"), "", "").status, 200, "{path} {fine}");
            }
            n_lists += 1;
        }
        assert!(n_lists >= 2 * 3, "{n_lists} lists");
    }
}
