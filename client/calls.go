package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"
)

// maxSegment bounds an id: a UUID has 36 characters, and nothing that is much longer is one.
const maxSegment = 256

// Request asks for links to be mailed to the addresses, as anybody may: the key
// is not sent with it. It answers the addresses as they were sent, whether or
// not anybody has them. In the API's reference: resetPasswordRequestPost.
func (c *Client) Request(ctx context.Context, email ...string) ([]string, error) {
	var answer struct {
		Email *[]string `json:"email"`
	}
	body, err := emailBody(email)
	if err != nil {
		return nil, err
	}
	err = c.do(ctx, call{name: "Request", method: http.MethodPost, path: "/reset-password/request", body: body, want: http.StatusOK, anonymous: true}, &answer)
	if err != nil {
		return nil, err
	}
	if answer.Email == nil {
		return nil, badAnswer("Request", http.StatusOK, "it has no email")
	}
	return *answer.Email, nil
}

// RequestBulk asks, with a key of the scope admin, for links to be mailed to
// all the addresses in the background. It answers the id of the job, for Job
// and WaitJob. In the API's reference: resetPasswordRequestPost with a key.
func (c *Client) RequestBulk(ctx context.Context, email ...string) (jobID string, err error) {
	if c.key == "" {
		return "", badArgument("a bulk request needs a key; make the client with WithKey")
	}
	var answer struct {
		JobID string `json:"job_id"`
	}
	body, err := emailBody(email)
	if err != nil {
		return "", err
	}
	err = c.do(ctx, call{name: "RequestBulk", method: http.MethodPost, path: "/reset-password/request", body: body, want: http.StatusAccepted}, &answer)
	if err == nil && answer.JobID == "" {
		err = badAnswer("RequestBulk", http.StatusAccepted, "it has no job_id")
	}
	return answer.JobID, err
}

func emailBody(email []string) (any, error) {
	if len(email) == 0 {
		return nil, badArgument("there is no address")
	}
	for i, e := range email {
		if !utf8.ValidString(e) {
			return nil, badArgument("address %d is not valid UTF-8", i+1)
		}
	}
	return struct {
		Email []string `json:"email"`
	}{email}, nil
}

// Metadata is what may be told to whoever holds the id of an open request.
type Metadata struct {
	// ID is the id that was asked for.
	ID string
	// MultipleAccounts says that the person has a login in more than one
	// account; the new password will hold in all of them.
	MultipleAccounts bool
}

// Metadata tells whether the id in a mailed link still opens anything. It
// changes nothing. ErrNotAuthorized: there is no such request; ErrExpired: it
// was too old; ErrInactive: it was used, or replaced by a newer one. In the
// API's reference: resetPasswordMetadataIdGet.
func (c *Client) Metadata(ctx context.Context, id string) (Metadata, error) {
	segment, err := escape(id)
	if err != nil {
		return Metadata{}, err
	}
	var answer struct {
		ID               string `json:"id"`
		MultipleAccounts *bool  `json:"multiple_accounts"`
	}
	err = c.do(ctx, call{name: "Metadata", method: http.MethodGet, path: "/reset-password/metadata/" + segment, want: http.StatusOK}, &answer)
	if err != nil {
		return Metadata{}, err
	}
	if answer.ID != id || answer.MultipleAccounts == nil {
		return Metadata{}, badAnswer("Metadata", http.StatusOK, "it is not about the id that was asked for")
	}
	return Metadata{ID: id, MultipleAccounts: *answer.MultipleAccounts}, nil
}

// Reset sets the new password of the person behind the request, and uses the
// request up. A password that is refused is an ErrBadParameter, whose reasons
// Error.PasswordReasons tells; the request stays open then. The rest is as
// with Metadata. In the API's reference: resetPasswordResetIdPost.
//
// After a failure of the network nobody knows whether the password was changed,
// so the call is not repeated: ask Metadata, which says ErrInactive if it was. Where passwords live in
// other systems the server may not know either, or only some of them may have done it: that is a status 503
// whose Details have an outcome, "unsure" or "partly". The request is used up then.
func (c *Client) Reset(ctx context.Context, id, password string) (requestID string, err error) {
	segment, err := escape(id)
	if err != nil {
		return "", err
	}
	if !utf8.ValidString(password) {
		return "", badArgument("the password is not valid UTF-8") // it would be sent as another one
	}
	var answer struct {
		ID string `json:"id"`
	}
	body := struct {
		Password string `json:"password"`
	}{password}
	err = c.do(ctx, call{name: "Reset", method: http.MethodPost, path: "/reset-password/reset/" + segment, body: body, want: http.StatusOK}, &answer)
	if err == nil && answer.ID != id {
		err = badAnswer("Reset", http.StatusOK, "it is not about the id that was used")
	}
	return answer.ID, err
}

// Job is how far a bulk request is.
type Job struct {
	ID    string   `json:"job_id"`
	State JobState `json:"state"`
	// Total is how many different addresses were listed.
	Total int `json:"total"`
	// Sent is how many mails a mail server has taken.
	Sent int `json:"sent"`
	// Unknown is how many addresses no user has who may reset.
	Unknown int `json:"unknown"`
	// Failed is how many mails were given up, or not sent because of the limit per address.
	Failed int `json:"failed"`
}

// JobState says how far a job is, in a word.
type JobState string

// The states of a job.
const (
	JobQueued  JobState = "queued"  // nothing has been tried yet
	JobRunning JobState = "running" // something is still to be sent
	JobDone    JobState = "done"
)

// Job tells how far a bulk request is. Only the key that made the request may
// ask; to any other the job is an ErrNotFound. In the API's reference: jobStatusIdGet.
func (c *Client) Job(ctx context.Context, jobID string) (Job, error) {
	segment, err := escape(jobID)
	if err != nil {
		return Job{}, err
	}
	var job Job
	err = c.do(ctx, call{name: "Job", method: http.MethodGet, path: "/job/status/" + segment, want: http.StatusOK}, &job)
	if err == nil && (job.ID != jobID || job.State != JobQueued && job.State != JobRunning && job.State != JobDone) {
		err = badAnswer("Job", http.StatusOK, "it is not about the job that was asked for")
	}
	if err != nil {
		return Job{}, err
	}
	return job, nil
}

// WaitJob asks for the job, again and again with a pause of every in between,
// until it is done or ctx ends. Then it answers the job as it was last, with ctx's error.
func (c *Client) WaitJob(ctx context.Context, jobID string, every time.Duration) (Job, error) {
	for {
		job, err := c.Job(ctx, jobID)
		if err != nil || job.State == JobDone {
			return job, err
		}
		if err := c.pause(ctx, every); err != nil {
			return job, err
		}
	}
}

// escape makes one segment of a path out of an id. What the server could not
// tell from another path is refused here; for anything else its answer counts.
func escape(id string) (string, error) {
	switch {
	case id == "" || id == "." || id == "..":
		return "", badArgument("the id is empty or no id at all")
	case len(id) > maxSegment:
		return "", badArgument("the id is longer than %d bytes", maxSegment)
	}
	return url.PathEscape(id), nil
}
