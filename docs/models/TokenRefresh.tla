---------------------------- MODULE TokenRefresh ----------------------------
(* One connection's tokens in Vault, refreshed by any of several replicas.     *)
(* Names are those of suppli_connector_kit.tokens (keeper.py, secret.py).      *)
(*                                                                             *)
(* Vault arbitrates writes only, and the call to the provider cannot be taken  *)
(* back. So an intent is stored first, by check-and-set; only its writer calls *)
(* until its deadline. Every step below is one request of a replica: it may    *)
(* stop before or after any of them for ever (crash) or for long (frozen).     *)
EXTENDS Naturals

CONSTANTS
  Replicas,       \* the processes
  Prompt,         \* the one that is never frozen; it may crash, and is up again at once
  SingleUse,      \* TRUE: a refresh token is worth one reply; FALSE: it is used again and again
  Life,           \* for how many ticks an access token works; it is due at half of them
  CallTime,       \* for how many ticks an intent stands
  Horizon,        \* the last tick that is looked at
  MaxCrashes, MaxLost, MaxWithdrawn,   \* how often things go wrong
  CheckAndSet,    \* FALSE breaks the protocol: writes go through, whatever is stored
  PairCompared,   \* FALSE breaks it: on a conflict only the refresh token is compared, not the pair
  VersionsGoOn    \* FALSE breaks it: a secret that is destroyed with its metadata would count its versions from 1 again

MostPresentations == 2    \* of a single-use token: once, and once more after a lost reply
None == [none |-> TRUE]

VARIABLES
  now,
  secret,     \* what Vault holds: None, or [pair, attempt, intent, dead, revoking]
  version,    \* of the secret
  accepted,   \* the provider: the refresh token that it takes, 0 = none
  issued,     \* the provider: how many pairs it has given; pair n is newer than pair n - 1
  replica,    \* what each replica is doing
  attempts,   \* how many attempts have begun, so that each has its own number
  said,       \* has a person been told that the account must be authorized again (reauth_required)?
  late,       \* ... and was that when the access token worked no more?
  crashes, lost, withdrawn

vars == <<now, secret, version, accepted, issued, replica, attempts, said, late, crashes, lost, withdrawn>>
provider == <<accepted, issued>>
person == <<said, late>>
budgets == <<crashes, lost, withdrawn>>

NewPair(n) ==
  [access |-> n, refresh |-> IF SingleUse THEN n ELSE accepted, due |-> now + Life \div 2, expires |-> now + Life]

FirstPair == [access |-> 1, refresh |-> 1, due |-> Life \div 2, expires |-> Life]

Idle == [pc |-> "idle"]

Init ==
  /\ now = Life \div 2    \* the story begins when the first pair is due
  /\ version = 1 /\ accepted = 1 /\ issued = 1 /\ attempts = 0
  /\ secret = [pair |-> FirstPair, attempt |-> 0, intent |-> None, dead |-> 0, revoking |-> FALSE]
  /\ replica = [r \in Replicas |-> Idle]
  /\ said = FALSE /\ late = FALSE
  /\ crashes = 0 /\ lost = 0 /\ withdrawn = 0

\* ---------------------------------------------------------------- a replica

Goto(r, state) == replica' = [replica EXCEPT ![r] = state]
Stop(r) == Goto(r, Idle)

\* Vault's check-and-set: does a write of r, which knows the secret at that version, go through?
Matches(at) == ~CheckAndSet \/ (secret # None /\ version = at)

Store(new) == secret' = new /\ version' = version + 1

Wanted == secret # None /\ ~secret.revoking /\ secret.dead # secret.pair.refresh /\ secret.pair.due <= now
Waits == secret.intent # None /\ now < secret.intent.deadline

\* The refresh is due, and nobody's intent stands: `refresh` reads the secret.
Read(r) ==
  /\ replica[r].pc = "idle" /\ Wanted /\ ~Waits
  /\ Goto(r, [pc |-> "read", stored |-> secret, version |-> version])
  /\ UNCHANGED <<now, secret, version, provider, attempts, person, budgets>>

NextIntent(stored, attempt, deadline) ==
  LET before == IF stored.intent # None /\ stored.intent.spent = stored.pair.refresh
                THEN stored.intent.presentation ELSE 0
  IN [attempt |-> attempt, spent |-> stored.pair.refresh, deadline |-> deadline, presentation |-> before + 1]

\* The intent is written before the call; on a conflict everything is read again.
Promise(r) ==
  LET me == replica[r]
      intent == NextIntent(me.stored, attempts + 1, now + CallTime)
      promised == [me.stored EXCEPT !.intent = intent]
  IN /\ me.pc = "read"
     /\ IF SingleUse /\ intent.presentation > MostPresentations
        THEN Goto(r, [me EXCEPT !.pc = "tell"]) /\ UNCHANGED <<secret, version, attempts>>
        ELSE IF Matches(me.version)
        THEN /\ Store(promised) /\ attempts' = attempts + 1
             /\ Goto(r, [pc |-> "call", stored |-> promised, version |-> version + 1])
        ELSE Stop(r) /\ UNCHANGED <<secret, version, attempts>>
     /\ UNCHANGED <<now, provider, person, budgets>>

\* The call arrives at the provider, which takes the refresh token or refuses it.
Serve(r) ==
  LET me == replica[r] IN
  /\ me.pc = "call"
  /\ IF me.stored.pair.refresh = accepted
     THEN /\ issued' = issued + 1
          /\ accepted' = IF SingleUse THEN issued + 1 ELSE accepted
          /\ Goto(r, [pc |-> "served", stored |-> me.stored, version |-> me.version, reply |-> NewPair(issued + 1)])
     ELSE /\ Goto(r, [pc |-> "served", stored |-> me.stored, version |-> me.version, reply |-> None])
          /\ UNCHANGED provider
  /\ UNCHANGED <<now, secret, version, attempts, person, budgets>>

Receive(r) ==
  LET me == replica[r] IN
  /\ me.pc = "served"
  /\ Goto(r, [me EXCEPT !.pc = IF me.reply = None THEN "tell" ELSE "write"])
  /\ UNCHANGED <<now, secret, version, provider, attempts, person, budgets>>

\* No answer. A single-use token is presented once more, under the same deadline; all else is left to the next.
NoAnswer(r) ==
  LET me == replica[r]
      intent == me.stored.intent
      arrived == me.pc = "served"
      again == [me.stored EXCEPT !.intent = NextIntent(me.stored, intent.attempt, intent.deadline)]
      freed == [me.stored EXCEPT !.intent =
                 IF intent.presentation = 1 THEN None
                 ELSE [intent EXCEPT !.deadline = now, !.presentation = intent.presentation - 1]]
  IN /\ me.pc \in {"call", "served"} /\ lost < MaxLost /\ lost' = lost + 1
     /\ IF SingleUse /\ arrived
        THEN IF intent.presentation >= MostPresentations
             THEN Goto(r, [me EXCEPT !.pc = "tell"]) /\ UNCHANGED <<secret, version>>
             ELSE IF Matches(me.version)
             THEN Store(again) /\ Goto(r, [pc |-> "call", stored |-> again, version |-> version + 1])
             ELSE Stop(r) /\ UNCHANGED <<secret, version>>
        ELSE /\ Stop(r)
             /\ IF Matches(me.version) THEN Store(freed) ELSE UNCHANGED <<secret, version>>
     /\ UNCHANGED <<now, provider, attempts, person, crashes, withdrawn>>

SamePair(me) ==
  IF PairCompared THEN secret.pair.access = me.stored.pair.access
  ELSE secret.pair.refresh = me.stored.pair.refresh

\* `_write`: the new pair. Vault's own answer may be lost, too: then it is written again, and conflicts.
Write(r) ==
  LET me == replica[r]
      renewed == [me.stored EXCEPT !.pair = me.reply, !.attempt = me.stored.intent.attempt,
                                   !.intent = None, !.dead = 0]
  IN /\ me.pc = "write"
     /\ IF Matches(me.version)
        THEN /\ Store(renewed)
             /\ \/ Stop(r) /\ lost' = lost
                \/ lost < MaxLost /\ lost' = lost + 1 /\ UNCHANGED replica
        ELSE /\ IF \/ secret = None
                   \/ secret.revoking
                   \/ secret.attempt = me.stored.intent.attempt    \* mine is stored
                   \/ ~SamePair(me)                                \* somebody else won
                THEN Stop(r)
                ELSE Goto(r, [me EXCEPT !.version = version])      \* my spent token still is: write again
             /\ UNCHANGED <<secret, version, lost>>
     /\ UNCHANGED <<now, provider, attempts, person, crashes, withdrawn>>

\* The access token that is stored works no more, though nobody withdrew our access here.
Ended == secret # None /\ ~secret.revoking /\ secret.pair.expires <= now

\* `_bury`: say that a person is needed, then note that the refresh token is spent for good.
Tell(r) ==
  LET me == replica[r] IN
  /\ me.pc = "tell"
  /\ said' = TRUE /\ late' = (late \/ (~said /\ Ended))
  /\ Goto(r, [me EXCEPT !.pc = "bury"])
  /\ UNCHANGED <<now, secret, version, provider, attempts, budgets>>

Bury(r) ==
  LET me == replica[r] IN
  /\ me.pc = "bury" /\ Stop(r)
  /\ IF Matches(me.version) THEN Store([me.stored EXCEPT !.intent = None, !.dead = me.stored.pair.refresh])
                            ELSE UNCHANGED <<secret, version>>
  /\ UNCHANGED <<now, provider, attempts, person, budgets>>

Crash(r) ==
  /\ replica[r].pc # "idle" /\ crashes < MaxCrashes /\ crashes' = crashes + 1
  /\ Stop(r)
  /\ UNCHANGED <<now, secret, version, provider, attempts, person, lost, withdrawn>>

Step(r) == Read(r) \/ Promise(r) \/ Serve(r) \/ Receive(r) \/ Write(r) \/ Tell(r) \/ Bury(r)

\* ---------------------------------------------------------------- people, and time

Withdraws == withdrawn < MaxWithdrawn /\ withdrawn' = withdrawn + 1

\* At the provider: the merchant takes our access away.
Revoked == Withdraws /\ accepted # 0 /\ accepted' = 0
           /\ UNCHANGED <<now, secret, version, issued, replica, attempts, person, crashes, lost>>

\* Here: the user disconnects. The secret is marked, then destroyed with all versions: a version without content
\* comes first, so their numbers go on.
Disconnect == Withdraws /\ secret # None /\ ~secret.revoking /\ Store([secret EXCEPT !.revoking = TRUE])
              /\ UNCHANGED <<now, provider, replica, attempts, person, crashes, lost>>

Destroy == secret # None /\ secret.revoking /\ secret' = None /\ accepted' = 0 /\ version' = (IF VersionsGoOn THEN version + 1 ELSE 0)
           /\ UNCHANGED <<now, issued, replica, attempts, person, budgets>>

\* A person authorizes again: `keep` stores the new pair in place of whatever was there.
Authorize ==
  /\ said /\ said' = FALSE
  /\ issued' = issued + 1 /\ accepted' = issued + 1
  /\ secret' = [pair |-> [access |-> issued + 1, refresh |-> issued + 1, due |-> now + Life \div 2, expires |-> now + Life],
                attempt |-> 0, intent |-> None, dead |-> 0, revoking |-> FALSE]
  /\ version' = version + 1
  /\ UNCHANGED <<now, replica, attempts, late, budgets>>

\* The clock. What Prompt can do it does before the next tick; the others may sleep through any number of them.
Tick == now < Horizon /\ ~ENABLED Step(Prompt) /\ now' = now + 1
        /\ UNCHANGED <<secret, version, provider, replica, attempts, person, budgets>>

Next == (\E r \in Replicas : Step(r) \/ NoAnswer(r) \/ Crash(r)) \/ Revoked \/ Disconnect \/ Destroy \/ Authorize \/ Tick

Spec == Init /\ [][Next]_vars

\* ---------------------------------------------------------------- what must hold

Calling(r) == replica[r].pc \in {"call", "served"}
Stands(r) == now < replica[r].stored.intent.deadline

\* Two calls that spend one refresh token are in flight only where somebody slept past a deadline.
OneSpender ==
  \A r, s \in Replicas : r # s /\ Calling(r) /\ Calling(s)
    /\ replica[r].stored.pair.refresh = replica[s].stored.pair.refresh => ~(Stands(r) /\ Stands(s))

\* The stored pair is never overwritten by an older one.
NeverOlder == [][secret # None /\ secret' # None => secret'.pair.access >= secret.pair.access]_vars

\* Once our access is being withdrawn, no refresh brings it back: only a person does, with a pair of their own.
StaysRevoked == [][(secret = None \/ secret.revoking) => (secret' = None \/ secret'.revoking \/ Authorize)]_vars

\* Whatever replies are lost, a token that can be used again asks for a person only when it was taken away.
ReusableSurvives == ~SingleUse /\ said => withdrawn > 0

\* A person is asked while the access token still works ...
SaidInTime == ~late
\* ... and nobody finds out by its end: it is renewed by then, or was said, or was taken away.
NeverSilent == Ended => said
=============================================================================
