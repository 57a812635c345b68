//! What a driver needs of a machine that gives orders.

use glowplug_core::{Instant, SubmitError, Token};
use glowplug_dns::resolver::{
    Answer, Direct, Event, LookupError, Order, QueryError, Request, Resolver as ResolverMachine,
};
use glowplug_dns::{ExchangeError, Query, Reply};

/// A pure machine that says whom to ask what, and is told what came of it. [`glowplug_dns::resolver::Resolver`] is one,
/// [`glowplug_dns::resolver::Direct`] the other; a machine of your own may be a third.
pub trait Machine {
    /// What is asked of it.
    type Request;
    /// What it answers, any number of times.
    type Answer;
    /// Why there is no answer.
    type Error;

    /// Takes a request in, or gives it back.
    fn submit(
        &mut self,
        now: Instant,
        token: Token,
        request: Self::Request,
    ) -> Result<(), SubmitError<Self::Request>>;
    /// Nobody waits for this request any more.
    fn cancel(&mut self, token: Token);
    /// The next event, if there is one.
    fn poll_event(&mut self) -> Option<Said<Self::Answer, Self::Error>>;
    /// The next thing to do, if there is one.
    fn poll_order(&mut self) -> Option<Order>;
    /// True if [`poll_order`](Self::poll_order) has something.
    fn has_orders(&self) -> bool;
    /// What came of an order.
    fn handle_reply(&mut self, now: Instant, token: Token, result: Result<Reply, ExchangeError>);
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Tells the machine that its deadline may have passed.
    fn handle_timeout(&mut self, now: Instant);
    /// The error of a request that was given back.
    fn too_many() -> Self::Error;
    /// The error of requests whose driver has ended.
    fn closed() -> Self::Error;
}

/// What a [`Machine`] says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<A, E> {
    /// An answer; more may come.
    Answer(Token, A),
    /// The request is over.
    Done(Token, Result<(), E>),
    /// The request is over with this answer.
    Last(Token, A),
}

/// What both machines of ours have under the same names.
macro_rules! forward {
    ($request:ty) => {
        fn submit(
            &mut self,
            now: Instant,
            token: Token,
            request: $request,
        ) -> Result<(), SubmitError<$request>> {
            Self::submit(self, now, token, request)
        }

        fn cancel(&mut self, token: Token) {
            Self::cancel(self, token);
        }

        fn poll_order(&mut self) -> Option<Order> {
            Self::poll_order(self)
        }

        fn has_orders(&self) -> bool {
            Self::has_orders(self)
        }

        fn handle_reply(&mut self, now: Instant, token: Token, result: Result<Reply, ExchangeError>) {
            Self::handle_reply(self, now, token, result);
        }

        fn poll_timeout(&self) -> Option<Instant> {
            Self::poll_timeout(self)
        }

        fn handle_timeout(&mut self, now: Instant) {
            Self::handle_timeout(self, now);
        }
    };
}

impl Machine for ResolverMachine {
    type Request = Request;
    type Answer = Answer;
    type Error = LookupError;

    forward!(Request);

    fn poll_event(&mut self) -> Option<Said<Answer, LookupError>> {
        Some(match Self::poll_event(self)? {
            Event::Answer(token, answer) => Said::Answer(token, answer),
            Event::Done(token, result) => Said::Done(token, result),
        })
    }

    fn too_many() -> LookupError {
        LookupError::TooManyLookups
    }

    fn closed() -> LookupError {
        LookupError::Closed
    }
}

impl Machine for Direct {
    type Request = Query;
    type Answer = Reply;
    type Error = QueryError;

    forward!(Query);

    fn poll_event(&mut self) -> Option<Said<Reply, QueryError>> {
        Some(match Self::poll_event(self)? {
            (token, Ok(reply)) => Said::Last(token, reply),
            (token, Err(error)) => Said::Done(token, Err(error)),
        })
    }

    fn too_many() -> QueryError {
        QueryError::TooMany
    }

    fn closed() -> QueryError {
        QueryError::Closed
    }
}
