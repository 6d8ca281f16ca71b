internal import Settings
internal import Wire

extension Gatekeeper {
    /// Brings the path into the one form that is matched, counted and forwarded.
    /// - Parameter scan: of the path.
    func canonicalise(
        _ scan: CanonicalPath.Scan, _ bytes: Span<UInt8>, _ extent: HeadExtent, _ facts: RequestFacts
    ) throws(Refusal) {
        let path = bytes.extracting(head.path)
        switch scan {
        case .canonical: return
        case .ambiguous:
            // Routes with rules of their own are asked only where there are some.
            guard rules.hasPathRules else { throw .ambiguousPath }
            // Without the whole head the host is not known, and so no route.
            guard extent == .whole else { return }
            rewrittenPath = try admit(path, bytes, facts)
            head.pathIsRewritten = true
        case .rewrite(let length):
            guard extent == .whole else { return }
            head.pathIsRewritten = true
            var canonical = [UInt8](repeating: 0, count: length)
            var place = canonical.mutableSpan
            _ = CanonicalPath.write(path, into: &place)
            rewrittenPath = canonical
        }
    }

    /// The form of an unusual path that is forwarded, under the rules of the route that its plainest reading finds.
    ///
    /// However the backend reads that form, it must find the same route and be a login by the same rules or none: otherwise the rules
    /// of one route would let a request pass to what another one guards, or a guess at a password past the counter.
    private func admit(_ path: Span<UInt8>, _ bytes: Span<UInt8>, _ facts: RequestFacts) throws(Refusal) -> [UInt8] {
        guard let unusual = UnusualPath(path), let plainest = unusual.plainest,
            case .route(let route) = match(plainest, bytes, facts),
            let admitted = unusual.admitted(by: rules.configuration.routes[route].paths)
        else {
            throw .ambiguousPath
        }
        let method = bytes.extracting(facts.method)
        let rows = rules.logins.rows(method: method, path: admitted.forwarded.span)
        for reading in admitted.readings + admitted.readings.compactMap({ PlainLetters.reading(of: $0.span) }) {
            guard match(reading, bytes, facts) == .route(route),
                rules.logins.rows(method: method, path: reading.span) == rows
            else {
                throw .ambiguousPath
            }
        }
        return admitted.forwarded
    }

    /// A backend that takes some letters for ASCII ones must find the same route, and a login by the same rules or none.
    ///
    /// It is enough to look at one reading: who takes only some of the letters for ASCII finds no longer path of a route than
    /// who takes all of them.
    func admitLetters(_ bytes: Span<UInt8>, _ facts: RequestFacts) throws(Refusal) {
        let path = canonicalPath(bytes).withUnsafeBufferPointer { Array($0) }
        guard let reading = PlainLetters.reading(of: path.span) else { return }
        // Without a route it goes nowhere, however it is read.
        guard case .route(let route) = match(path, bytes, facts) else { return }
        let method = bytes.extracting(facts.method)
        guard match(reading, bytes, facts) == .route(route),
            rules.logins.rows(method: method, path: reading.span)
                == rules.logins.rows(method: method, path: path.span)
        else { throw .ambiguousPath }
    }

    private func match(_ path: [UInt8], _ bytes: Span<UInt8>, _ facts: RequestFacts) -> RouteTable.Match {
        rules.routes.match(
            host: bytes.extracting(facts.host), path: path.span,
            method: bytes.extracting(head.requestedMethod ?? facts.method))
    }
}
