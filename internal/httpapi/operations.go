package httpapi

import (
	"net/http"

	"github.com/sparekey/sparekey/api"
	"github.com/sparekey/sparekey/internal/reset"
)

// The bodies of the operations, as the OpenAPI document names them.
type (
	requestReq struct {
		// Email is nil when it is missing or null.
		Email []string `json:"email"`
		// Altcha is a solved challenge, where callers without a key need one.
		Altcha string `json:"altcha"`
	}
	requestResp struct {
		Email []string `json:"email"`
	}
	jobResp struct {
		JobID string `json:"job_id"`
	}
	jobStatusResp struct {
		JobID   string         `json:"job_id"`
		State   reset.JobState `json:"state"`
		Total   int            `json:"total"`
		Sent    int            `json:"sent"`
		Unknown int            `json:"unknown"`
		Failed  int            `json:"failed"`
	}
	metadataResp struct {
		ID               string `json:"id"`
		MultipleAccounts bool   `json:"multiple_accounts"`
	}
	resetReq struct {
		// Password is nil when it is missing or null.
		Password *string `json:"password"`
	}
	idResp struct {
		ID string `json:"id"`
	}
)

// request asks for links: for anybody without a key, as a bulk job with one.
func (h *handler) request(w http.ResponseWriter, r *http.Request, c reset.Caller) error {
	var req requestReq
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	if req.Email == nil {
		return missing("email, an array of addresses, is missing")
	}
	if c.Key != nil {
		job, err := h.Service.AskBulk(r.Context(), c, req.Email)
		if err != nil {
			return err
		}
		return writeJSON(w, r, http.StatusAccepted, jobResp{JobID: job})
	}
	c.Proof.Solution = req.Altcha
	if err := h.Service.Ask(r.Context(), c, req.Email); err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, requestResp{Email: req.Email})
}

// challenge makes a puzzle. Nothing is stored for it.
func (h *handler) challenge(w http.ResponseWriter, r *http.Request, _ reset.Caller) error {
	if h.Challenge == nil {
		return errNoChallenge
	}
	made, err := h.Challenge()
	if err != nil {
		return err
	}
	writeBody(w, r, http.StatusOK, "application/json", made)
	return nil
}

// metadata tells the holder of an id whether it opens anything.
func (h *handler) metadata(w http.ResponseWriter, r *http.Request, c reset.Caller) error {
	m, err := h.Service.Look(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, metadataResp{ID: m.ID.Reveal(), MultipleAccounts: m.MultipleAccounts})
}

// resetPassword sets the new password.
func (h *handler) resetPassword(w http.ResponseWriter, r *http.Request, c reset.Caller) error {
	var req resetReq
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	if req.Password == nil {
		return missing("password, a string, is missing")
	}
	id, err := h.Service.Reset(r.Context(), c, r.PathValue("id"), *req.Password)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, idResp{ID: id.Reveal()})
}

// jobStatus tells a key how far its bulk job is.
func (h *handler) jobStatus(w http.ResponseWriter, r *http.Request, c reset.Caller) error {
	job, err := h.Service.Job(r.Context(), c, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, jobStatusResp{
		JobID: job.ID, State: job.State(), Total: job.Total, Sent: job.Sent, Unknown: job.Unknown, Failed: job.Failed,
	})
}

// document answers the contract itself.
func (h *handler) document(w http.ResponseWriter, r *http.Request, _ reset.Caller) error {
	writeBody(w, r, http.StatusOK, "application/yaml", api.OpenAPI)
	return nil
}
