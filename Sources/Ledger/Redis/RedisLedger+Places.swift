internal import Policy
internal import Transport
internal import Wire

/// A place that the store may hold for a guess of this replica.
struct StoredPlace {
    /// Where it is, whatever the rule says of the guess by now.
    let key: String
    let until: Instant
    /// Whether the store has said that it holds it.
    var isTold = false
    /// Whether the guess needs it no more, and the store has not said yet that it knows.
    var isOver = false
}

/// A place is given back with one command. When the session ends before its answer, or Redis refuses it, it is told again:
/// else logins of the address would wait for places that nobody has, until these end by themselves.
extension RedisLedger {
    /// More of them are left to end by themselves.
    private static let mostPlaces = 8_192

    /// The store is asked for a place.
    func notePlace(of asked: WaitingGuess, at key: String) {
        let now = clock.now()
        if places.count >= RedisLedger.mostPlaces {
            guard now >= nextLookAtPlaces else { return }
            nextLookAtPlaces = now + .seconds(1)
            places = places.filter { $0.value.until > now }
        }
        places[asked.guess.id] = StoredPlace(key: key, until: now + asked.length)
    }

    /// Places under the key that were given here and are in use, and of which the store has not said that it knows them.
    func placesOfOurOwn(besides guess: LoginFailure) -> Int {
        guard ownPlacesEnd > clock.now() else { return 0 }
        local.held.expire(at: clock.now())
        return local.held.count(of: guess.key) { $0 != guess.id && places[$0]?.isTold != true }
    }

    func takeOut(_ guess: LoginFailure, _ session: any RedisStore) {
        let key = places[guess.id]?.key ?? BlockKey.pending(guess.key)
        takeOut(guess.id, at: key, session)
    }

    /// On a new session, and when Redis takes commands again.
    func takeOutThoseThatAreOver(_ session: any RedisStore) {
        let now = clock.now()
        for (id, place) in places where place.isOver && place.until > now { takeOut(id, at: place.key, session) }
    }

    private func takeOut(_ id: FailureID, at key: String, _ session: any RedisStore) {
        session.call(["ZREM", key, id.description]) { [weak self] reply in
            // Not when the guess has asked again meanwhile.
            guard let self, let reply, places[id]?.isOver == true else { return }
            if let error = reply.error, !error.hasPrefix("WRONGTYPE") { return degrade(.refusing, error) }
            places[id] = nil
        }
    }
}
