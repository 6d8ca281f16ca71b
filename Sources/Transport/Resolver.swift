internal import CLibevent
package import Wire

/// Turns names into addresses on a thread of its own, because getaddrinfo waits for other machines as long as it likes.
/// One for the whole process; each loop that asks has a `ResolverPort`.
package final class Resolver: Sendable {
    fileprivate struct Question: Sendable {
        let host: String
        let ticket: UInt64
        let answers: Mailbox<Answer>
    }
    fileprivate struct Answer: Sendable {
        let ticket: UInt64
        let result: Result<[IPAddress], ResolveError>
    }
    private enum Job: Sendable {
        case resolve(Question)
        case stop
    }

    private let jobs = Mailbox<Job>()
    private let thread: LoopThread

    package init() {
        let jobs = jobs
        thread = LoopThread(name: "resolver") { loop in
            let receiver = MailboxReceiver(jobs, on: loop) { job in
                switch job {
                case .resolve(let question):
                    question.answers.send(
                        Answer(ticket: question.ticket, result: Resolver.lookUp(question.host)))
                case .stop: loop.stop()
                }
            }
            withExtendedLifetime(receiver) { loop.run() }
        }
    }

    /// Lets the thread end after the name it is at. Does not wait for it: that may take as long as a name server likes.
    /// To be called once.
    package func stop() {
        jobs.send(.stop)
        thread.detach()
    }

    fileprivate func ask(_ question: Question) { jobs.send(.resolve(question)) }

    /// The addresses of a name, in the order of getaddrinfo (RFC 6724), each once.
    private static func lookUp(_ host: String) -> Result<[IPAddress], ResolveError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        var code = getaddrinfo(host, nil, &hints, &list)
        if code == EAI_NONAME {
            // A host with nothing but loopback has no "configured" family at all.
            hints.ai_flags = 0
            code = getaddrinfo(host, nil, &hints, &list)
        }
        guard code == 0 else {
            return .failure(ResolveError(description: "\(host): \(String(cString: gai_strerror(code)))"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var next = list
        while let info = next {
            if let place = info.pointee.ai_addr, let address = SocketAddress(place)?.ip, !addresses.contains(address) {
                addresses.append(address)
            }
            next = info.pointee.ai_next
        }
        return .success(addresses)
    }
}

/// Why a name has no address, in the words of the system.
package struct ResolveError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// One loop's access to the resolver. Completions come on that loop, after the call has returned.
package final class ResolverPort {
    private let resolver: Resolver
    private let loop: EventLoop
    private let answers = Mailbox<Resolver.Answer>()
    private var receiver: MailboxReceiver<Resolver.Answer>?
    private var waiting: [UInt64: (Result<[IPAddress], ResolveError>) -> Void] = [:]
    private var ticket: UInt64 = 0
    /// Nil: each question is looked up.
    private var memory: AddressMemory?
    /// Of names that are looked up for whoever waits for them.
    private var hosts: [UInt64: String] = [:]

    /// - Parameter memory: how long an address is known without being looked up again.
    package init(_ resolver: Resolver, on loop: EventLoop, memory: Interval? = nil) {
        self.resolver = resolver
        self.loop = loop
        self.memory = memory.map { AddressMemory(for: $0) }
        receiver = MailboxReceiver(answers, on: loop) { [unowned self] answer in took(answer) }
    }

    private func took(_ answer: Resolver.Answer) {
        guard let host = hosts.removeValue(forKey: answer.ticket),
            let known = memory?.take(answer.result, of: host, at: .now())
        else {
            waiting.removeValue(forKey: answer.ticket)?(answer.result)
            return
        }
        for ticket in known.tickets { waiting.removeValue(forKey: ticket)?(known.result) }
    }

    /// A literal address needs no thread; a name gives at least one address or an error. Nobody is called after the port
    /// is gone.
    package func resolve(_ host: String, completion: @escaping (Result<[IPAddress], ResolveError>) -> Void) {
        ticket += 1
        waiting[ticket] = completion
        if let address = IPAddress(host) {
            answers.send(Resolver.Answer(ticket: ticket, result: .success([address])))
        } else if let known = memory?.addresses(of: host, at: .now()) {
            answers.send(Resolver.Answer(ticket: ticket, result: .success(known)))
        } else if memory?.wait(for: host, ticket) ?? true {
            if memory != nil { hosts[ticket] = host }
            resolver.ask(Resolver.Question(host: host, ticket: ticket, answers: answers))
        }
    }
}
