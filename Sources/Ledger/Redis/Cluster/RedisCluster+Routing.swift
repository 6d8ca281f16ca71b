internal import Transport
internal import Wire

/// Commands on their way to the node that has their key, and on from there.
extension RedisCluster {
    final class Call {
        let number: Int
        /// With its keys as the store knows them.
        let arguments: [String]
        let completion: RedisConnection.Completion
        var answer: RESPValue?
        /// How often it was sent on, or asked to come again.
        var turns = 0
        /// Nodes that have not answered yet, of what all are asked.
        var outstanding = 0

        init(_ number: Int, _ arguments: [String], _ completion: @escaping RedisConnection.Completion) {
            self.number = number
            self.arguments = arguments
            self.completion = completion
        }

        /// Scripts are told again when Redis has forgotten them, so their answers come out of order anyway. And of the keys of a
        /// script some may be elsewhere for a while; the others should not wait for that.
        var isScript: Bool { arguments[0] == "EVALSHA" || arguments[0] == "EVAL" }
    }

    /// So often a call is sent on at once: the nodes themselves may not agree for a moment.
    private static let turnsAtOnce = 3
    /// Well below `redis.deadline` together: who only waits for a slot to arrive does not make the store slow.
    private static let mostTurns = 10
    private static let pause = Interval.milliseconds(15)

    func call(_ arguments: [String], completion: @escaping RedisConnection.Completion) {
        if case .ended = state { return completion(nil) }
        lastNumber += 1
        let call = Call(lastNumber, inOneSlot(keyspace.command(arguments)), completion)
        if call.isScript { scripts[call.number] = call } else { ordered.append(call) }
        send(call)
    }

    /// The mark of a name is put into its slot by a hash tag. Names of strangers (subjects of tokens, paths) may hold braces of
    /// their own, and nothing can be put around those: their marks get a tag that leads there.
    private func inOneSlot(_ arguments: [String]) -> [String] {
        let marks = keyspace.prefix + RedisLedger.markPrefix
        guard arguments.count > 4, arguments[0] == "EVALSHA" || arguments[0] == "EVAL", arguments[4].hasPrefix(marks)
        else { return arguments }
        let slot = RedisSlot.of(arguments[3])
        guard RedisSlot.of(arguments[4]) != slot else { return arguments }
        var arguments = arguments
        arguments[4] = "\(marks){\(RedisSlot.tag(for: slot))}:\(arguments[3])"
        return arguments
    }

    private func send(_ call: Call) {
        switch state {
        case .ended: return
        case .seeking, .opening, .rereading: return held.append(call)
        case .ready: break
        }
        switch call.arguments[0] {
        case "PING": ping(call)
        case "SCAN": scan(call)
        case "EVALSHA", "EVAL": route(call, by: call.arguments[3])
        // Every other command has one key, behind its name.
        default: route(call, by: call.arguments[1])
        }
    }

    private func route(_ call: Call, by key: String) {
        if let node = owner(of: key) { send(call, to: node) }
    }

    private func send(_ call: Call, to node: Node) {
        node.session?.send(call.arguments) { [weak self] reply in
            // Without an answer the node's session ends, and with it this one, which answers then.
            guard let self, let reply else { return }
            answered(call, reply, by: node)
        }
    }

    private func answered(_ call: Call, _ reply: RESPValue, by node: Node) {
        guard let error = reply.error, let redirect = RedisRedirect(error, toldBy: node.address) else {
            return finish(call, reply)
        }
        call.turns += 1
        let isOften = call.turns > RedisCluster.mostTurns
        switch redirect {
        // What only concerns these keys is decided by whoever asked.
        case .tryAgain: if isOften { finish(call, reply) } else { later(call) }
        case .down: end("\(node.address.text): \(RedisRemedy.explain(error, user: nil))\(book.away)")
        case _ where isOften: giveUp(call, "sent on too often: \(error)")
        case .unreadable: giveUp(call, "sent on, but not told where: \(error)")
        case .moved:
            moved.append(call)
            readMap(from: node)
        case .ask(let address): ask(call, at: address)
        }
    }

    /// The nodes do not agree on this one slot: no outage of the others.
    private func giveUp(_ call: Call, _ problem: String) { finish(call, .error("TRYAGAIN \(problem)")) }

    /// The slot is on its way to another master, and this key is not here any more, or never was.
    private func ask(_ call: Call, at address: RedisSlotMap.Address) {
        guard let node = nodes[address], let session = node.session else {
            // A master without slots of which nobody has told yet: it is taken in with all others.
            guard book.invite(address, at: .now()) else {
                return giveUp(call, "sent on to \(address.text), which is not there")
            }
            return end("\(address.text) is being given slots")
        }
        session.send(["ASKING"])
        send(call, to: node)
    }

    // MARK: The map is old

    /// Asked of the node that said so. It answers in order, so all that it sends on for the same reason is known by then, and
    /// goes on in the order in which it came.
    private func readMap(from node: Node) {
        guard case .ready = state else { return }
        state = .rereading
        node.session?.send(["CLUSTER", "SLOTS"]) { [weak self] reply in
            guard let self, let reply, case .rereading = state else { return }
            state = .ready
            if take(reply, from: node, isSure: true) { sendHeld() }
        }
    }

    func sendHeld() {
        let again = moved.sorted { $0.number < $1.number }
        let waiting = held
        moved = []
        held = []
        for call in again { if call.turns > RedisCluster.turnsAtOnce { later(call) } else { send(call) } }
        for call in waiting { send(call) }
    }

    private func later(_ call: Call) {
        if patient.isEmpty { retryTimer?.fire(after: RedisCluster.pause) }
        patient.append(call)
    }

    func sendPatient() {
        let again = patient
        patient = []
        for call in again { send(call) }
    }

    // MARK: What all are asked

    private func ping(_ call: Call) {
        call.outstanding = nodes.count
        for node in nodes.values {
            node.session?.send(["PING"]) { [weak self] reply in
                guard let self, let reply else { return }
                call.outstanding -= 1
                if call.outstanding == 0 { finish(call, reply) }
            }
        }
    }

    /// One master after the other, by name; where it goes on stands in the cursor: `<cursor>@<master>`.
    private func scan(_ call: Call) {
        let order = nodes.values.sorted { $0.address.text < $1.address.text }
        let parts = call.arguments[1].split(separator: "@", maxSplits: 1)
        let name = parts.count == 2 ? String(parts[1]) : ""
        let cursor = parts.count == 2 ? String(parts[0]) : "0"
        guard let node = order.first(where: { $0.address.text >= name }) else {
            return finish(call, .error("an unexpected cursor of SCAN"))
        }
        let next = order.first { $0.address.text > node.address.text }
        node.session?.send(["SCAN", cursor] + call.arguments[2...]) { [weak self] reply in
            guard let self, let reply else { return }
            let named = keyspace.reply(reply, to: "SCAN")
            guard let parts = named?.array, parts.count == 2, let cursor = parts[0].text else {
                return finish(call, reply)
            }
            // Ours has the master in it, so nobody else may put a name there.
            guard !cursor.isEmpty, cursor.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
            else {
                return end("\(node.address.text): an unexpected reply to SCAN")
            }
            let goesOn = cursor == "0" ? next.map { "0@\($0.address.text)" } : "\(cursor)@\(node.address.text)"
            finish(call, .array([.bytes(Array((goesOn ?? "0").utf8)), parts[1]]))
        }
    }

    // MARK: Answers

    private func finish(_ call: Call, _ reply: RESPValue) {
        if call.isScript {
            if scripts.removeValue(forKey: call.number) != nil { call.completion(reply) }
            return
        }
        call.answer = reply
        while let next = ordered.first, let answer = next.answer {
            _ = ordered.popFirst()
            next.completion(answer)
        }
    }

    /// All that wait are answered with nil.
    func abandonCalls() {
        let all = ordered.takeAll() + scripts.values.sorted { $0.number < $1.number }
        scripts = [:]
        held = []
        moved = []
        patient = []
        for call in all { call.completion(nil) }
    }
}
