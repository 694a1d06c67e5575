const endpointPattern = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;

/** "host:port", also "[v6]:port". */
export const isEndpoint = (text: string): boolean => endpointPattern.test(text) && URL.canParse(`wss://${text}/`);
