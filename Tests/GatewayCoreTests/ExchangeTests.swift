import Testing

@testable import GatewayCore
@testable import Policy

/// Plays events to an exchange and gives the steps that it asks for.
private func steps(
    bodiless: Bool = true, replayable: Bool = false, isLogin: Bool = false, attempts: Int = 2,
    _ events: Exchange.Event...
) -> [Exchange.Step] {
    var exchange = Exchange(bodiless: bodiless, replayable: replayable, isLogin: isLogin, attempts: attempts)
    var steps: [Exchange.Step] = []
    for event in events { steps.append(exchange.handle(event)) }
    return steps
}

/// What an event brings in the state of this name, for a request that cannot be tried again.
private func step(in state: String, _ event: Exchange.Event) -> Exchange.Step? {
    switch state {
    case "leasing": steps(bodiless: false, attempts: 1, event).last
    case "sending": steps(bodiless: false, attempts: 1, .connected, event).last
    case "awaiting": steps(attempts: 1, .connected, event).last
    case "judging": steps(attempts: 1, .connected, .responseHead(failedLogin: true), event).last
    case "judging what is malformed": steps(attempts: 1, .connected, .failedLoginMalformed, event).last
    default: steps(attempts: 1, .connected, .responseHead(failedLogin: false), event).last
    }
}

@Suite struct `An exchange` {
    @Test func `relays the answer of a request without a body and keeps both sides`() {
        #expect(
            steps(.connected, .responseHead(failedLogin: false), .responseEnded(reusable: true))
                == [.none, .relay, .finish(keepClient: true, keepUpstream: true)])
    }

    @Test func `goes to another server when one cannot be spoken to in secret, and then says why`() {
        #expect(
            steps(.handshakeFailed(.upstreamUntrusted), .handshakeFailed(.upstreamUntrusted))
                == [.retry, .refuse(.upstreamUntrusted)])
    }

    /// RFC 8446 §4.4.2.4: a server may look at our certificate when the request is on its way already.
    @Test(arguments: ["sending", "awaiting"])
    func `says why the server ended a connection behind its handshake`(state: String) {
        #expect(step(in: state, .handshakeFailed(.upstreamDistrusts)) == .refuse(.upstreamDistrusts))
    }

    @Test func `relays the answer of a request with a body`() {
        #expect(
            steps(
                bodiless: false, .connected, .requestEnded, .responseHead(failedLogin: false),
                .responseEnded(reusable: true))
                == [.none, .none, .relay, .finish(keepClient: true, keepUpstream: true)])
    }

    @Test func `closes the upstream connection that says so, and keeps the client`() {
        #expect(
            steps(.connected, .responseHead(failedLogin: false), .responseEnded(reusable: false))
                == [.none, .relay, .finish(keepClient: true, keepUpstream: false)])
    }

    /// RFC 9112 §9.3: what is left of the body would be read as the next request, on both sides.
    @Test func `closes both sides behind an answer that came before the end of the request`() {
        #expect(
            steps(bodiless: false, .connected, .responseHead(failedLogin: false), .responseEnded(reusable: true))
                == [.none, .relay, .finish(keepClient: false, keepUpstream: false)])
    }

    @Test func `keeps both sides when the request ended while the answer was relayed`() {
        #expect(
            steps(
                bodiless: false, .connected, .responseHead(failedLogin: false), .requestEnded,
                .responseEnded(reusable: true))
                == [.none, .relay, .none, .finish(keepClient: true, keepUpstream: true)])
    }

    @Test func `tells whether its answer is under way`() {
        var exchange = Exchange(bodiless: true, replayable: true, isLogin: false, attempts: 2)
        var places: [Bool] = []
        for event in [
            Exchange.Event.upstreamLost, .connected, .responseHead(failedLogin: false), .responseEnded(reusable: true),
        ] {
            places.append(exchange.isRelaying)
            _ = exchange.handle(event)
        }
        places.append(exchange.isRelaying)
        #expect(places == [false, false, false, true, false])
    }
}

@Suite struct `An exchange that judges a login` {
    /// SEC-010: the 401 is held until every worker knows of the block that came of it.
    @Test func `holds the answer until the Ledger has spoken`() {
        #expect(
            steps(isLogin: true, .connected, .responseHead(failedLogin: true), .judged, .responseEnded(reusable: true))
                == [.none, .report, .relay, .finish(keepClient: true, keepUpstream: true)])
    }

    @Test func `does not hold an answer that is no failure`() {
        #expect(steps(isLogin: true, .connected, .responseHead(failedLogin: false)) == [.none, .relay])
    }

    @Test func `remembers whether the request ended while the answer was held`() {
        #expect(
            steps(
                bodiless: false, isLogin: true, .connected, .responseHead(failedLogin: true), .requestEnded, .judged,
                .responseEnded(reusable: true)
            ).last == .finish(keepClient: true, keepUpstream: true))
        #expect(
            steps(
                bodiless: false, isLogin: true, .connected, .responseHead(failedLogin: true), .judged,
                .responseEnded(reusable: true)
            ).last == .finish(keepClient: false, keepUpstream: false))
    }

    /// Who hangs up before the verdict must not get a guess for nothing (decisions 5).
    @Test func `counts the failure of a client that is gone`() {
        #expect(
            steps(isLogin: true, .connected, .clientLost, .responseHead(failedLogin: true), .judged)
                == [.none, .none, .report, .abandon])
        #expect(
            steps(isLogin: true, .connected, .responseHead(failedLogin: true), .clientLost, .judged)
                == [.none, .report, .none, .abandon])
    }

    /// SEC-010: a 401 that cannot be passed on was a guess like any other.
    @Test func `counts a failure that is malformed before it refuses it`() {
        #expect(
            steps(isLogin: true, .connected, .failedLoginMalformed, .judged) == [.none, .report, .refuse(.badResponse)])
        #expect(
            steps(bodiless: false, isLogin: true, .connected, .failedLoginMalformed, .requestEnded, .judged)
                == [.none, .report, .none, .refuse(.badResponse)])
        #expect(
            steps(isLogin: true, .connected, .failedLoginMalformed, .clientLost, .judged)
                == [.none, .report, .none, .abandon])
    }

    @Test(arguments: [Exchange.Event.upstreamLost, .timedOut, .responseMalformed])
    func `waits for the verdict on a malformed failure whatever becomes of the upstream`(event: Exchange.Event) {
        #expect(step(in: "judging what is malformed", event) == Exchange.Step.none)
    }

    @Test func `refuses a body that is malformed or too large behind a malformed failure`() {
        #expect(step(in: "judging what is malformed", .requestMalformed) == .refuse(.malformedBody))
        #expect(step(in: "judging what is malformed", .requestTooLarge) == .refuse(.bodyTooLarge))
    }

    @Test func `ends when the client is gone and the login was no failure`() {
        #expect(
            steps(isLogin: true, .connected, .clientLost, .responseHead(failedLogin: false)) == [
                .none, .none, .abandon,
            ])
    }

    @Test func `ends when the client is gone and no verdict comes`() {
        #expect(steps(isLogin: true, .connected, .clientLost, .upstreamLost).last == .abandon)
        #expect(steps(isLogin: true, .connected, .clientLost, .timedOut).last == .abandon)
        #expect(steps(isLogin: true, .connected, .clientLost, .responseMalformed).last == .abandon)
    }

    @Test func `does not wait for a verdict before the guess is out`() {
        #expect(steps(bodiless: false, isLogin: true, .connected, .clientLost).last == .abandon)
        #expect(steps(isLogin: true, .clientLost).last == .abandon)
    }

    /// The answer is here already; what becomes of the connection meanwhile is not its concern.
    @Test func `keeps the held answer when the upstream closes or time passes`() {
        #expect(
            steps(isLogin: true, .connected, .responseHead(failedLogin: true), .upstreamLost, .timedOut, .judged)
                == [.none, .report, .none, .none, .relay])
    }
}

@Suite struct `An exchange that fails` {
    @Test func `tries one more connection before anything was sent`() {
        #expect(steps(.connectFailed, .connected, .responseHead(failedLogin: false)) == [.retry, .none, .relay])
        #expect(steps(bodiless: false, .connectFailed, .connected) == [.retry, .none])
        #expect(steps(.timedOut, .connected) == [.retry, .none])
        #expect(steps(.upstreamLost, .connected) == [.retry, .none])
    }

    @Test func `is tried as often as it may be`() {
        #expect(
            steps(attempts: 3, .connectFailed, .connectFailed, .connectFailed)
                == [.retry, .retry, .refuse(.upstreamUnreachable)])
    }

    @Test func `gives up when there is no further attempt`() {
        #expect(steps(.connectFailed, .connectFailed) == [.retry, .refuse(.upstreamUnreachable)])
        #expect(steps(.timedOut, .timedOut) == [.retry, .refuse(.connectTimeout)])
        #expect(steps(attempts: 1, .connectFailed) == [.refuse(.upstreamUnreachable)])
        #expect(steps(attempts: 1, .upstreamLost) == [.refuse(.upstreamUnreachable)])
    }

    @Test func `says what went wrong first when it may not be sent again`() {
        #expect(steps(.connectFailed, .retryDenied) == [.retry, .refuse(.upstreamUnreachable)])
        #expect(steps(.timedOut, .retryDenied) == [.retry, .refuse(.connectTimeout)])
        #expect(
            steps(replayable: true, .connected, .upstreamLost, .retryDenied)
                == [.none, .retry, .refuse(.upstreamFailed)])
    }

    @Test func `says why there is nobody to ask`() {
        #expect(steps(.notLeased(.circuitOpen)) == [.refuse(.circuitOpen)])
        #expect(steps(.connectFailed, .notLeased(.upstreamUnreachable)) == [.retry, .refuse(.upstreamUnreachable)])
        #expect(
            steps(replayable: true, .connected, .upstreamLost, .notLeased(.circuitOpen))
                == [.none, .retry, .refuse(.circuitOpen)])
    }

    /// RFC 9110 §9.2.2: a proxy must not repeat what is not idempotent.
    @Test func `repeats a request that was sent only when that is harmless`() {
        #expect(steps(replayable: true, .connected, .upstreamLost, .connected) == [.none, .retry, .none])
        #expect(steps(replayable: false, .connected, .upstreamLost) == [.none, .refuse(.upstreamFailed)])
        #expect(steps(bodiless: false, .connected, .upstreamLost) == [.none, .refuse(.upstreamFailed)])
    }

    @Test func `does not repeat a request whose answer had begun`() {
        #expect(steps(replayable: true, .connected, .answerLost) == [.none, .refuse(.upstreamFailed)])
        #expect(steps(isLogin: true, .connected, .clientLost, .answerLost).last == .abandon)
    }

    @Test func `knows of an answer that it came before the end of the request`() {
        var exchange = Exchange(bodiless: false, replayable: false, isLogin: false, attempts: 1)
        var owed: [Bool] = []
        for event in [Exchange.Event.connected, .responseHead(failedLogin: false), .requestEnded] {
            _ = exchange.handle(event)
            owed.append(exchange.owesRequest)
        }
        #expect(owed == [false, true, false])
    }

    /// A kept connection was gone when the first byte was to leave: a POST may be sent again as well.
    @Test func `sends a request on another connection of which nothing had left`() {
        #expect(
            steps(.connected, .connectFailed, .connected, .responseHead(failedLogin: false))
                == [.none, .retry, .none, .relay])
        #expect(
            steps(bodiless: false, .connected, .requestEnded, .connectFailed, .connected, .requestEnded)
                == [.none, .none, .retry, .none, .none])
        #expect(steps(attempts: 1, .connected, .connectFailed) == [.none, .refuse(.upstreamFailed)])
        #expect(steps(isLogin: true, .connected, .clientLost, .connectFailed) == [.none, .none, .abandon])
    }

    /// RFC 9112 §9.3.1: not for ever.
    @Test func `counts connections that failed and requests that were lost together`() {
        #expect(
            steps(replayable: true, .connectFailed, .connected, .upstreamLost)
                == [.retry, .none, .refuse(.upstreamFailed)])
        #expect(
            steps(replayable: true, .connected, .upstreamLost, .connected, .upstreamLost)
                == [.none, .retry, .none, .refuse(.upstreamFailed)])
    }

    /// A slow request may be carried out all the same.
    @Test func `does not repeat a request that took too long`() {
        #expect(steps(replayable: true, .connected, .timedOut) == [.none, .refuse(.responseTimeout)])
    }

    @Test(arguments: ["leasing", "sending", "judging"])
    func `refuses a body that is malformed or too large while nothing was answered`(state: String) {
        #expect(step(in: state, .requestMalformed) == .refuse(.malformedBody))
        #expect(step(in: state, .requestTooLarge) == .refuse(.bodyTooLarge))
    }

    /// A second answer would be read as that of the next request.
    @Test(arguments: [
        Exchange.Event.upstreamLost, .timedOut, .responseMalformed, .requestMalformed, .requestTooLarge,
    ])
    func `never answers twice`(event: Exchange.Event) {
        #expect(step(in: "relaying", event) == .abort)
    }

    @Test(arguments: [
        ("leasing", Exchange.Step.refuse(.connectTimeout)), ("sending", .refuse(.bodyTimeout)),
        ("awaiting", .refuse(.responseTimeout)), ("judging", .none), ("relaying", .abort),
    ])
    func `says whose time is over`(state: String, expected: Exchange.Step) {
        #expect(step(in: state, .timedOut) == expected)
    }

    /// 408 would tell the client that it was slow, and that it may send the same again (RFC 9110 §15.5.9).
    @Test(arguments: [
        ("leasing", Exchange.Step.refuse(.connectTimeout)), ("sending", .refuse(.responseTimeout)), ("judging", .none),
        ("relaying", .abort),
    ])
    func `answers 504 for a server that does not take the body`(state: String, expected: Exchange.Step) {
        #expect(step(in: state, .requestStuck) == expected)
    }

    @Test(arguments: ["sending", "awaiting", "judging"])
    func `answers 502 for an answer that cannot be understood`(state: String) {
        #expect(step(in: state, .responseMalformed) == .refuse(.badResponse))
    }

    @Test(arguments: ["leasing", "sending", "awaiting", "relaying"])
    func `ends when the client is gone`(state: String) {
        #expect(step(in: state, .clientLost) == .abandon)
    }

    @Test func `says nothing once it is over`() {
        for last in [Exchange.Event.connectFailed, .timedOut, .clientLost, .requestMalformed] {
            for late in [
                Exchange.Event.connected, .connectFailed, .requestEnded, .responseHead(failedLogin: true), .judged,
                .responseEnded(reusable: true), .responseMalformed, .upstreamLost, .requestMalformed, .requestTooLarge,
                .clientLost, .timedOut,
            ] {
                let step = steps(attempts: 1, last, late)[1]
                #expect(step == .none, "\(last), then \(late)")
            }
        }
    }

    /// A mistake of ours costs one exchange, never the process.
    @Test(arguments: [
        ("leasing", Exchange.Event.responseHead(failedLogin: false)), ("leasing", .requestEnded), ("leasing", .judged),
        ("sending", .connected), ("sending", .judged), ("awaiting", .requestEnded), ("awaiting", .connected),
        ("awaiting", .responseEnded(reusable: true)), ("judging", .responseHead(failedLogin: true)),
        ("relaying", .responseHead(failedLogin: false)), ("relaying", .judged), ("relaying", .connectFailed),
    ])
    func `cuts itself off at an event that cannot be`(state: String, event: Exchange.Event) {
        #expect(step(in: state, event) == .abort)
    }
}
