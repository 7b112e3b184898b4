//! Fetches a page over TLS and prints its status and itself: `https_get [--backend mio|polling] [https://HOST[:PORT][/PATH]]`.
//!
//! The server's certificate has to be for HOST, and one that the operating system trusts, or one of those in the file that the environment variable ROOTS names. It
//! asks as HTTP/1.0 does, so the page comes in one piece: its end is where its length says, or where the server takes leave. A connection that is merely cut
//! off is no end, which is why TLS has a closing word. Redirections are not followed.

use http::Uri;
use plimsoll_examples::Fetch;
use plimsoll_examples::tls::client_config;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Connect, Context, Data, OpenError, Protocol, Selector};
use rustls::pki_types::ServerName;
use std::io::{self, Write};
use std::process::ExitCode;

/// The longest head that is waited for.
const LONGEST: usize = 64 * 1024;

/// The most fields in it.
const FIELDS: usize = 128;

/// What became of the request.
type Outcome = Option<io::Result<()>>;

struct Get {
    request: String,
    /// What has come of the head.
    head: Vec<u8>,
    body: Option<Body>,
}

/// What is known of a page once its head is there.
struct Body {
    /// How much of it is still to come; none: the end will tell.
    left: Option<u64>,
    /// Whether it is the page that was asked for, or else why not.
    verdict: io::Result<()>,
}

impl Get {
    fn new(uri: &Uri, host: &str) -> Self {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self { request: format!("GET {path} HTTP/1.0\r\nHost: {host}{port}\r\n\r\n"), head: Vec::new(), body: None }
    }

    /// Takes bytes of the answer; whether that was the last of them.
    fn take(&mut self, data: &[u8]) -> io::Result<bool> {
        if let Some(body) = &mut self.body {
            return body.take(data);
        }
        self.head.extend_from_slice(data);
        let Some((len, mut body)) = parse(&self.head)? else {
            return if self.head.len() > LONGEST { Err(io::Error::other("the head never ends")) } else { Ok(false) };
        };
        let over = body.take(&self.head[len..])?;
        self.body = Some(body);
        Ok(over)
    }
}

impl Body {
    fn take(&mut self, data: &[u8]) -> io::Result<bool> {
        let len = self.left.map_or(data.len(), |left| data.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        io::stdout().write_all(&data[..len])?;
        if let Some(left) = &mut self.left {
            *left -= len as u64;
        }
        Ok(self.left == Some(0))
    }
}

/// Prints the status, if the head is complete; how long that is, and what it says of the page.
fn parse(head: &[u8]) -> io::Result<Option<(usize, Body)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(len) = response.parse(head).map_err(io::Error::other)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    println!("{status} {}", response.reason.unwrap_or_default());
    let mut left = None;
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let value = core::str::from_utf8(field.value).ok().and_then(|value| value.parse().ok());
            left = Some(value.ok_or_else(|| io::Error::other("a length that is none"))?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::Error::other("the server answers what was not asked"));
        }
    }
    let verdict = if (200..300).contains(&status) { Ok(()) } else { Err(io::Error::other(format!("the status is {status}"))) };
    Ok(Some((len, Body { left, verdict })))
}

impl Protocol<Outcome> for Get {
    /// The handshake is done, and the server is who it should be.
    fn connection_made(&mut self, cx: &mut Context<'_, Outcome>) {
        cx.write(self.request.as_str());
    }

    fn data_received(&mut self, cx: &mut Context<'_, Outcome>, data: Data<'_>) {
        match self.take(&data) {
            Ok(false) => {}
            Ok(true) => cx.close(),
            Err(error) => {
                *cx.state = Some(Err(error));
                cx.abort();
            }
        }
    }

    /// The server has taken leave: that is the end of a page without a length.
    fn eof_received(&mut self, _: &mut Context<'_, Outcome>) -> bool {
        if let Some(body @ Body { left: None, .. }) = &mut self.body {
            body.left = Some(0);
        }
        false
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Outcome>, error: OpenError) {
        *cx.state = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Outcome>, reason: CloseReason) {
        cx.state.get_or_insert_with(|| match self.body {
            Some(Body { left: Some(0), verdict }) => verdict,
            _ => Err(io::Error::other(format!("the page is not complete, and the connection is {reason}"))),
        });
        cx.hub.stop();
    }
}

struct Main;

impl Fetch for Main {
    fn run<P: Selector>(self, uri: &Uri) -> io::Result<()> {
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(String::from(bare)).map_err(io::Error::other)?;
        let mut config = client_config()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let to = Connect::host(bare, uri.port_u16().unwrap_or(443)).stagger(Connect::STAGGER).tls(Tls::client(config, name));
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        event_loop.hub().connect(to, Get::new(uri, host));
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_with_uri(Main, "https://localhost:8443/")
}
