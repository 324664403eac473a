// Package client calls the Password Reset API of a Sparekey server. It needs
// nothing but the standard library.
//
// Three calls make one reset:
//
//	c, err := client.New("https://reset.example.com", client.WithKey(key))
//	…
//	_, err = c.Request(ctx, "ann@example.com")       // a link is mailed
//	meta, err := c.Metadata(ctx, id)                 // is the id in it still good?
//	_, err = c.Reset(ctx, id, "a rather long sentence") // the new password
//
// The calls by their names in the API's reference:
//
//	resetPasswordRequestPost        Client.Request, and Client.RequestBulk with an admin key
//	resetPasswordMetadataIdGet      Client.Metadata
//	resetPasswordResetIdPost        Client.Reset
//	jobStatusIdGet                  Client.Job, Client.WaitJob
//
// # Errors
//
// What the API refuses is an *Error; compare it with the Err… values:
//
//	if errors.Is(err, client.ErrExpired) { … offer a new link … }
//
// An answer that is none of this API's (a proxy's page, a redirect, rubbish) is
// an ErrBadAnswer, and an argument that cannot be sent an ErrBadArgument. Anything
// else comes from the network or from the context, unchanged below errors.Is.
// No error holds a key, an id or a password.
//
// # Retries
//
// What is safe is tried again, twice by default (WithRetries): every call when
// the server could not be reached at all, or said by 429 or 503, in the API's own
// words, that nothing was done; and the calls that change nothing also after
// any failure of the network and after 502, 503 and 504 from a proxy. A pause the
// server asks for (Retry-After) is kept to, if it is at most ten seconds and
// the context lasts as long; otherwise the refusal is returned at once, with
// the pause in Error.RetryAfter.
//
// A test of code that uses this package can start a whole server in a line: see
// the package sparekeytest beside it.
package client
