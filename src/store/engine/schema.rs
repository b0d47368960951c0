//! The tables as diesel sees them; `migrations/` makes them. One declaration serves both databases.

diesel::table! {
    tenants (id) {
        id -> BigInt,
        name -> Text,
        created -> BigInt,
        change_seq -> BigInt,
        compatibility -> Text,
        patch_answer -> Text,
        group_names -> Text,
        document_limit_bytes -> Nullable<BigInt>,
        attribute_values_limit -> Nullable<BigInt>,
    }
}

diesel::table! {
    access_epochs (tenant_id) {
        tenant_id -> BigInt,
        epoch -> BigInt,
    }
}

diesel::table! {
    resources (tenant_id, id) {
        tenant_id -> BigInt,
        id -> Text,
        resource_type -> Text,
        version -> BigInt,
        created -> BigInt,
        modified -> BigInt,
        active -> Nullable<Bool>,
        user_name -> Nullable<Text>,
        external_id -> Nullable<Text>,
        display_name -> Nullable<Text>,
        label -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        doc -> Text,
    }
}

diesel::table! {
    attributes (tenant_id, resource_id, path, position) {
        tenant_id -> BigInt,
        resource_id -> Text,
        path -> Text,
        position -> Integer,
        text -> Nullable<Text>,
        num -> Nullable<Double>,
    }
}

diesel::table! {
    members (tenant_id, group_id, member_id) {
        tenant_id -> BigInt,
        group_id -> Text,
        member_id -> Text,
        kind -> Text,
        display -> Nullable<Text>,
    }
}

diesel::table! {
    changes (tenant_id, seq) {
        tenant_id -> BigInt,
        seq -> BigInt,
        resource_id -> Text,
        resource_type -> Text,
        kind -> Text,
        at -> BigInt,
        actor -> Text,
        payload -> Text,
    }
}

diesel::table! {
    counts (tenant_id, resource_type) {
        tenant_id -> BigInt,
        resource_type -> Text,
        live -> BigInt,
        deleted -> BigInt,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        tenant_id -> BigInt,
        name -> Text,
        hash -> Text,
        scopes -> Text,
        created -> BigInt,
        expires -> Nullable<BigInt>,
        last_used -> Nullable<BigInt>,
        revoked -> Nullable<BigInt>,
        fields -> Nullable<Text>,
    }
}

diesel::table! {
    walks (tenant_id, key) {
        tenant_id -> BigInt,
        key -> Text,
        last_id -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    secrets (name) {
        name -> Text,
        value -> Text,
        created -> BigInt,
    }
}

diesel::joinable!(tokens -> tenants (tenant_id));
diesel::joinable!(access_epochs -> tenants (tenant_id));

diesel::table! {
    setups (tenant_id, org) {
        tenant_id -> BigInt,
        org -> Text,
        state -> Text,
        modified -> BigInt,
    }
}

diesel::table! {
    setup_writes (id) {
        id -> Text,
        tenant_id -> BigInt,
        org -> Text,
        step -> Text,
        method -> Text,
        path -> Text,
        began -> BigInt,
        ended -> Nullable<BigInt>,
        status -> Nullable<BigInt>,
        request_id -> Nullable<Text>,
        error_code -> Nullable<Text>,
        error_id -> Nullable<Text>,
    }
}

diesel::table! {
    arrivals (tenant_id, token_id, kind) {
        tenant_id -> BigInt,
        token_id -> Text,
        kind -> Text,
        first_at -> BigInt,
        last_at -> BigInt,
        times -> BigInt,
    }
}

diesel::table! {
    subscriptions (tenant_id, id) {
        tenant_id -> BigInt,
        id -> Text,
        name -> Text,
        url -> Text,
        kinds -> Text,
        resource_types -> Text,
        secret -> Text,
        old_secret -> Nullable<Text>,
        old_secret_until -> Nullable<BigInt>,
        created -> BigInt,
        stopped -> Nullable<Text>,
        done_seq -> BigInt,
        attempts -> BigInt,
        next_at -> BigInt,
        failure -> Nullable<Text>,
        owner -> Nullable<Text>,
        owner_until -> BigInt,
    }
}

diesel::table! {
    dead_letters (tenant_id, subscription_id, seq) {
        tenant_id -> BigInt,
        subscription_id -> Text,
        seq -> BigInt,
        at -> BigInt,
        attempts -> BigInt,
        failure -> Text,
        wanted -> Bool,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    tenants,
    access_epochs,
    resources,
    attributes,
    members,
    changes,
    counts,
    tokens,
    walks,
    subscriptions,
    dead_letters,
);
