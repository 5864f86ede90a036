-- Branding: logos and texts per host name, and banners shown in sessions.

CREATE TABLE branding_configs (
    branding_config_id      uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    name                    varchar NOT NULL,
    hostname                varchar NOT NULL,
    is_default              boolean DEFAULT true,

    html_title              varchar NOT NULL,
    favicon_logo_url        varchar NOT NULL,
    header_logo_url         varchar NOT NULL,
    dashboard_logo_url      varchar NOT NULL,

    login_logo_url          varchar NOT NULL,
    login_splash_url        varchar NOT NULL,
    login_caption           varchar NOT NULL,
    username_input_label    varchar DEFAULT 'Username',

    launcher_background_url varchar DEFAULT 'img/backgrounds/background1.jpg',

    loading_session_text    varchar NOT NULL,
    joining_session_text    varchar NOT NULL,
    destroying_session_text varchar NOT NULL
);
COMMENT ON TABLE branding_configs IS 'Logos, texts and backgrounds for one host name.';
COMMENT ON COLUMN branding_configs.hostname IS 'The branding is used when the browser asks for this host.';

CREATE TABLE banners (
    banner_id uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    name      varchar(255) NOT NULL,
    config    json         NOT NULL
);
COMMENT ON TABLE banners IS 'Banners that can be shown in a session.';
