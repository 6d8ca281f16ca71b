internal import Crypto
internal import Settings
internal import Wire

/// A page that solves the challenge, for browsers that send a form and get this in its place. It puts the solution into a
/// cookie and leads back to the form: what was typed there is not known here, and nobody is asked to type it twice.
///
/// Everything is in it, and its policy lets nothing else run: scripts and styles are named by their hashes, so what differs
/// from answer to answer stands in attributes.
struct ChallengePage: Sendable {
    /// The cookie that the page sets.
    static let cookie = "gateway_challenge"

    let contentPolicy: String
    private let script: String
    private let siteverify: Configuration.Login.Siteverify?

    /// - Parameter siteverify: nil: work is done.
    init(_ siteverify: Configuration.Login.Siteverify?) {
        self.siteverify = siteverify
        script = ChallengePage.common + (siteverify == nil ? ChallengePage.solver : ChallengePage.relay)
        func hash(_ text: String) -> String {
            "'sha256-\(String(decoding: Base64.encode(Bytes.sha256(Array(text.utf8).span)), as: UTF8.self))'"
        }
        let sources = siteverify.map { CaptchaSources($0.provider) }
        contentPolicy =
            "default-src 'none'; script-src \(hash(script))\(sources?.scripts ?? ""); "
            + (sources.map { "style-src 'unsafe-inline'\($0.styles); frame-src\($0.frames); connect-src\($0.frames)" }
                ?? "style-src \(hash(ChallengePage.style))")
            + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    /// - Parameters:
    ///   - attributes: of the body; made here, of characters that need no escaping.
    ///   - requestID: what support is asked with; the same holds.
    func html(_ attributes: String, requestID: String) -> String {
        let widget = siteverify.map { siteverify in
            let sources = CaptchaSources(siteverify.provider)
            return """
                <div class="\(sources.widget)" data-sitekey="\(siteverify.siteKey)" data-callback="solved"></div>
                <script src="\(sources.script)" async defer></script>

                """
        }
        let task =
            siteverify == nil
            ? "Your browser does a little sum, to show that it is not guessing. This takes a moment."
            : "Please show that you are not a program that is guessing."
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex">
            <title>One more step</title>
            <style>\(ChallengePage.style)</style>
            <body \(attributes)>
            <main>
            <h1>One more step</h1>
            <p>Some logins from your network have failed.</p>
            <p id="task" aria-live="polite">\(task)</p>
            <noscript><p>Please allow this page to run scripts.</p></noscript>
            <script>\(script)</script>
            \(widget ?? "")<p><button id="back" type="button" hidden>Back to the form</button></p>
            <p><small>\(requestID)</small></p>
            </main>
            </body>
            </html>

            """
    }

    private static let style =
        "body{font:1rem/1.5 system-ui,sans-serif;margin:0;color:#222;background:#fff}"
        + "main{max-width:32rem;margin:4rem auto;padding:0 1rem}small{color:#666}button{font:inherit;padding:.4rem 1rem}"

    /// Only the path of the login needs the cookie; one that would end the attribute gives way to all paths.
    private static let common = #"""
        "use strict";
        function solved(text) {
          var path = /^[\w\/.~%-]+$/.test(location.pathname) ? location.pathname : "/";
          document.cookie = "gateway_challenge=" + text + "; Path=" + path + "; Max-Age=" + document.body.dataset.life +
            "; SameSite=Strict" + (location.protocol === "https:" ? "; Secure" : "");
          var isKept = document.cookie.indexOf("gateway_challenge=" + text) >= 0;
          document.getElementById("task").textContent = isKept ? "Done. Please go back to the form and send it again." :
            "Your browser has not kept the cookie of this page. Please allow cookies, and send the form again.";
          var back = document.getElementById("back");
          back.hidden = false;
          back.addEventListener("click", function () { history.back(); });
          back.focus();
        }

        """#

    /// The callback is named in the widget.
    private static let relay = ""

    /// SHA-256 of texts of one block, whose first 32 bits are all that is asked for. Constants are what FIPS 180-4 §4.2.2 says
    /// they are; not `crypto.subtle`, which is there on secure pages only and far slower for small texts.
    private static let solver = #"""
        (function () {
          var data = document.body.dataset, shift = 32 - data.difficulty, k = [], start = [], n = 2;
          function fraction(x) { return (x - Math.floor(x)) * 4294967296 | 0; }
          for (; k.length < 64; n++) {
            var prime = true;
            for (var f = 2; f * f <= n; f++) if (n % f === 0) prime = false;
            if (!prime) continue;
            if (start.length < 8) start.push(fraction(Math.sqrt(n)));
            k.push(fraction(Math.cbrt(n)));
          }
          k = new Int32Array(k);
          var w = new Int32Array(64), head = data.nonce + ".";
          function firstWord(text) {
            var i, x, y, t, u;
            w.fill(0, 0, 16);
            for (i = 0; i < text.length; i++) w[i >> 2] |= text.charCodeAt(i) << 24 - 8 * (i & 3);
            w[i >> 2] |= 128 << 24 - 8 * (i & 3);
            w[15] = 8 * text.length;
            for (i = 16; i < 64; i++) {
              x = w[i - 15];
              y = w[i - 2];
              w[i] = w[i - 16] + w[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) +
                ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
            }
            var a = start[0], b = start[1], c = start[2], d = start[3], e = start[4], g = start[5], h = start[6], j = start[7];
            for (i = 0; i < 64; i++) {
              t = j + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & g ^ ~e & h) + k[i] + w[i] | 0;
              u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
              j = h; h = g; g = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
            }
            return a + start[0] | 0;
          }
          var number = 0;
          (function some() {
            for (var end = number + 20000; number < end; number++)
              if (firstWord(head + number) >>> shift === 0) return solved(head + number);
            setTimeout(some, 0);
          })();
        })();

        """#
}

/// Where a provider's CAPTCHA comes from, as its documentation says.
private struct CaptchaSources {
    let widget: String
    let script: String
    /// For the page's policy, each with a space before it.
    let scripts: String
    let frames: String
    let styles: String

    init(_ provider: Configuration.Login.Siteverify.Provider) {
        switch provider {
        case .recaptcha:
            widget = "g-recaptcha"
            script = "https://www.google.com/recaptcha/api.js"
            scripts = " https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/"
            frames = " https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/"
            styles = ""
        case .hcaptcha:
            widget = "h-captcha"
            script = "https://js.hcaptcha.com/1/api.js"
            scripts = " https://hcaptcha.com https://*.hcaptcha.com"
            frames = scripts
            styles = scripts
        case .turnstile:
            widget = "cf-turnstile"
            script = "https://challenges.cloudflare.com/turnstile/v0/api.js"
            scripts = " https://challenges.cloudflare.com"
            frames = scripts
            styles = ""
        }
    }
}
