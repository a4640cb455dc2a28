export declare const contentSecurityPolicy: string;
export declare const contentSecurityPolicyHeader: string;
