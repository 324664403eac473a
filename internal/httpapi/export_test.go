package httpapi

// ParseRequest parses the body of a request for links, for the fuzz test.
func ParseRequest(body []byte) (email []string, err error) {
	var req requestReq
	err = parse(body, &req)
	return req.Email, err
}

// ParseReset parses the body of a reset, for the fuzz test.
func ParseReset(body []byte) (password *string, err error) {
	var req resetReq
	err = parse(body, &req)
	return req.Password, err
}
